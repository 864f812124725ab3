"""Frames as server-sent events, and the places their ids hold."""

from uuid import UUID, uuid4

import msgspec
import pytest
from chat_realtime.live.domain import CursorInvalid
from chat_realtime.live.events import Places, close_event, cursors_of, payloads_of
from chat_realtime.live.framing import encode, text_frame
from hypothesis import given
from hypothesis import strategies as st
from seda_contracts import realtime

ROOM, OTHER = UUID(int=1), UUID(int=2)


def ready(*rooms: realtime.RoomReady) -> bytes:
    return encode(realtime.Ready(id=0, conn=uuid4(), user=uuid4(), rooms=list(rooms)))


def event(room: UUID, seq: int) -> bytes:
    return encode(realtime.EventFrame(room=room, ep="1", seq=seq, acl=0, t="x", ts=0, d={}))


def id_of(sent: bytes) -> str | None:
    lines = sent.decode().splitlines()
    return next((line.removeprefix("id: ") for line in lines if line.startswith("id: ")), None)


@given(st.lists(st.sampled_from([0, 1, 125, 126, 65_535, 65_536, 70_000]), max_size=4))
def test_the_messages_in_a_run_of_frames_are_found_whatever_their_length(
    lengths: list[int],
) -> None:
    payloads = [b"x" * length for length in lengths]
    assert list(payloads_of(b"".join(map(text_frame, payloads)))) == payloads


def test_an_id_resumes_every_room_after_what_was_sent() -> None:
    places = Places()
    places.event(
        ready(
            realtime.RoomReady(room=ROOM, result="replay", ep="1", head=9, n=2),
            realtime.RoomReady(room=OTHER, result="current", ep="a-1", head=4),
        )
    )
    last = id_of(places.event(event(ROOM, 8)))
    assert cursors_of([str(ROOM), f"{OTHER}:a-1:1"], last) == {
        ROOM: realtime.Cursor("1", 8),
        OTHER: realtime.Cursor("a-1", 4),
    }


def test_a_hole_is_never_passed_by_an_id() -> None:
    places = Places()
    places.event(ready(realtime.RoomReady(room=ROOM, result="current", ep="1", head=3)))
    places.event(encode(realtime.Lagged(room=ROOM, from_=3)))
    assert id_of(places.event(event(ROOM, 90))) is None
    again = id_of(places.event(ready()))
    assert cursors_of([str(ROOM)], again) == {ROOM: realtime.Cursor("1", 3)}


def test_what_moves_nothing_has_no_id_and_an_event_is_one_line() -> None:
    places = Places()
    text = "a\nid: 9\n\ndata: {}"
    sent = places.event(encode(realtime.EphemeralFrame(room=ROOM, t="typing", d={"x": text})))
    assert sent.startswith(b"data: ")
    assert sent.count(b"\n") == 2
    assert msgspec.json.decode(sent.removeprefix(b"data: "))["d"]["x"] == text
    assert close_event(4504, "out").splitlines()[0] == b"event: close"


@pytest.mark.parametrize(
    ("room", "last_event_id"),
    [
        ("x", ""),
        (f"{ROOM}:1", ""),
        (f"{ROOM}:1:-1", ""),
        (f"{ROOM}:1:9007199254740993", ""),
        (f"{ROOM}:1:" + "9" * 400, ""),
        (f"{ROOM}:1:\u0664", ""),
        (f"{ROOM}::1", ""),
        (f"{ROOM}:1:1:1", ""),
        (str(ROOM), "x"),
        (str(ROOM), "AAAA.1.1"),
        (str(ROOM), "," * 20_000),
        (str(ROOM), "\u00e9.1.1"),
    ],
)
def test_attack_062_a_forged_cursor_is_refused(room: str, last_event_id: str) -> None:
    with pytest.raises(CursorInvalid):
        cursors_of([room], last_event_id)
