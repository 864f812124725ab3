"""The protocol by bytes alone: no socket, no clock, no database."""

import json
from typing import Any
from uuid import UUID

import pytest
from chat_realtime.live.session import Close, Command, Reject, Session, SessionLimits
from seda_contracts import realtime

ROOM = UUID("01890000-0000-7000-8000-000000000001")
OTHER = UUID("01890000-0000-7000-8000-000000000002")


def said(op: str, room: UUID | None = None, command_id: int = 1, **d: Any) -> bytes:
    command: dict[str, Any] = {"id": command_id, "op": op, "d": d}
    if room is not None:
        command["room"] = str(room)
    return json.dumps(command).encode()


def greeted(**limits: Any) -> Session:
    session = Session(SessionLimits(**limits), now=0)
    session.receive(said("hello", ticket="t"), now=0)
    return session


def test_hello_is_understood_with_its_resume_cursors() -> None:
    session = Session(SessionLimits(), now=0)
    payload = said("hello", ticket="t", resume={"rooms": {str(ROOM): {"ep": "1", "seq": 7}}})
    (command,) = session.receive(payload, now=0)
    assert isinstance(command, Command)
    assert command.body == realtime.Hello(
        ticket="t", resume=realtime.Resume(rooms={ROOM: realtime.Cursor(ep="1", seq=7)})
    )
    assert set(session.rooms) == {ROOM}


def test_attack_098_any_command_before_hello_closes_the_socket() -> None:
    session = Session(SessionLimits(), now=0)
    assert session.receive(said("hb"), now=0) == [Close(4500, "hello must come first")]


def test_nothing_is_decided_after_a_close() -> None:
    session = Session(SessionLimits(), now=0)
    session.receive(said("hb"), now=0)
    assert session.receive(said("hello", ticket="t"), now=0) == []


@pytest.mark.parametrize("d", [{}, {"ticket": "a", "token": "b"}])
def test_hello_needs_exactly_one_credential(d: dict[str, str]) -> None:
    session = Session(SessionLimits(), now=0)
    assert session.receive(said("hello", **d), now=0) == [
        Close(4500, "hello takes a ticket or a token")
    ]


def test_hello_that_does_not_come_closes_at_its_deadline_and_not_before() -> None:
    session = Session(SessionLimits(hello_timeout_seconds=5), now=100)
    assert session.tick(now=104.9) is None
    assert session.tick(now=105) == Close(4001, "no hello in time")


def test_a_second_hello_is_refused_and_the_socket_lives() -> None:
    (reject,) = greeted().receive(said("hello", ticket="t", command_id=9), now=1)
    assert reject == Reject(
        9, realtime.Failure(code="conflict", retry="never", msg="hello was already said")
    )


def test_two_missed_beats_close_the_socket() -> None:
    session = greeted(heartbeat_seconds=25, heartbeat_grace_seconds=10)
    session.receive(said("hb"), now=25)
    assert session.tick(now=84.9) is None
    assert session.tick(now=85) == Close(4408, "heartbeat lost")


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"7", b'"x"', b"[" * 100_000, b'{"op":"hb","id":NaN}', b"\xff\xfe"],
)
def test_what_is_no_command_at_all_closes_the_socket(payload: bytes) -> None:
    assert greeted().receive(payload, now=1) == [Close(4500, "malformed frame")]


@pytest.mark.parametrize("room", ["*", ">", "room.>", "a.b", " ", "", f"{ROOM}.x", f"{ROOM} "])
def test_attack_105_what_is_no_id_never_gets_to_be_a_subject(room: str) -> None:
    """It is answered by the id of its command, and the socket lives."""
    session = greeted()
    command = json.dumps({"id": 3, "op": "room.sub", "room": room}).encode()
    (reject,) = session.receive(command, now=1)
    assert isinstance(reject, Reject)
    assert (reject.id, reject.failure.code, reject.failure.retry) == (3, "bad_request", "never")
    assert session.tick(now=2) is None


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (said("nonsense"), "unknown_op"),
        (said("msg.send", ROOM, text="no cid"), "bad_request"),
        (said("msg.send", cid="c", text="no room"), "bad_request"),
        (said("room.sub", ROOM, seq=-1), "bad_request"),
        (said("typing", ROOM), "not_member"),
    ],
)
def test_a_bad_command_is_refused_with_its_code(payload: bytes, code: str) -> None:
    (reject,) = greeted().receive(payload, now=1)
    assert isinstance(reject, Reject)
    assert reject.failure.code == code


def test_unknown_fields_are_ignored() -> None:
    payload = b'{"id":1,"op":"hb","later":true,"d":{"n":2,"t0":3.5,"more":[1]}}'
    (command,) = greeted().receive(payload, now=1)
    assert isinstance(command, Command)
    assert command.body == realtime.Heartbeat(n=2, t0=3.5)


def test_one_frame_may_carry_several_commands_in_order() -> None:
    batch = b"[" + said("hb", command_id=1) + b"," + said("room.sub", ROOM, command_id=2) + b"]"
    decisions = greeted().receive(batch, now=1)
    assert [decision.id for decision in decisions if isinstance(decision, Command)] == [1, 2]


def test_a_batch_above_its_limit_closes_the_socket() -> None:
    batch = b"[" + b",".join([said("hb")] * 3) + b"]"
    assert greeted(batch_commands_max=2).receive(batch, now=1) == [
        Close(4500, "too many commands in one frame")
    ]


def test_attack_099_rooms_are_limited_and_leaving_one_makes_place() -> None:
    session = greeted(rooms_max=1)
    session.receive(said("room.sub", ROOM), now=1)
    (again,) = session.receive(said("room.sub", ROOM), now=1)
    assert isinstance(again, Command)
    (reject,) = session.receive(said("room.sub", OTHER), now=1)
    assert isinstance(reject, Reject)
    assert reject.failure.code == "too_large"
    session.leave(ROOM)
    (command,) = session.receive(said("room.sub", OTHER), now=1)
    assert isinstance(command, Command)


def test_typing_inside_its_interval_vanishes() -> None:
    session = greeted(typing_interval_seconds=3)
    session.receive(said("room.sub", ROOM), now=0)
    assert len(session.receive(said("typing", ROOM), now=10)) == 1
    assert session.receive(said("typing", ROOM), now=12.9) == []
    assert len(session.receive(said("typing", ROOM), now=13)) == 1


def test_commands_over_the_rate_say_when_to_come_again() -> None:
    session = greeted(commands_burst=2, commands_per_second=10)
    session.receive(said("hb"), now=0)
    (reject,) = session.receive(said("hb"), now=0)
    assert isinstance(reject, Reject)
    assert (reject.failure.code, reject.failure.retry) == ("rate_limited", "later")
    assert reject.failure.retry_ms is not None
    later = reject.failure.retry_ms / 1000
    (command,) = session.receive(said("hb"), now=later)
    assert isinstance(command, Command)


def test_attack_099_ten_thousand_typing_hints_end_as_abuse() -> None:
    session = greeted()
    session.receive(said("room.sub", ROOM), now=0)
    decisions = [d for _ in range(10_000) for d in session.receive(said("typing", ROOM), now=1)]
    assert decisions[-1] == Close(4029, "too many commands")
    assert len(decisions) < 300
