"""Decisions of the client, from frames, closes, times and chances; no socket, no clock."""

from typing import Any
from uuid import UUID

import pytest
from seda_client.core import (
    BACK_OFF_SECONDS_MAX,
    BACK_OFF_SECONDS_MIN,
    SETTLED_SECONDS,
    Ask,
    ComeBack,
    Core,
    Happened,
    Lost,
    SnapshotNeeded,
    Stop,
    TokenNeeded,
)
from seda_contracts.realtime import VERSION, Cursor
from seda_contracts.realtime_codes import CLOSES

ROOM = UUID(int=1)


def event(seq: int, ep: str = "1", t: str = "message.created") -> dict[str, Any]:
    return {"op": "ev", "room": str(ROOM), "ep": ep, "seq": seq, "acl": 0, "t": t, "ts": 0, "d": {}}


def ready(*rooms: dict[str, Any]) -> dict[str, Any]:
    return {"op": "ready", "id": 1, "rooms": list(rooms)}


def told(result: str, head: int = 10) -> dict[str, Any]:
    return {"room": str(ROOM), "result": result, "ep": "1", "head": head, "n": 0}


def listening(seq: int = 10) -> Core:
    core = Core()
    core.follow(ROOM, Cursor("1", seq))
    core.receive(ready(told("current", seq)), now=0)
    return core


def subscribe(seq: int) -> Ask:
    return Ask("room.sub", ROOM, {"ep": "1", "seq": seq})


def seqs(decisions: list[Any]) -> list[int]:
    return [each.frame["seq"] for each in decisions if isinstance(each, Happened)]


def test_events_are_handed_on_once_and_in_turn() -> None:
    core = listening()
    handed_on = [seqs(core.receive(event(seq), now=0)) for seq in (11, 11, 10, 12)]
    assert handed_on == [[11], [], [], [12]]


def test_an_event_out_of_turn_asks_for_what_is_missing_once() -> None:
    core = listening()
    assert core.receive(event(13), now=0) == [subscribe(10)]
    assert core.receive(event(14), now=0) == []
    core.subscribed(ROOM, told("replay", 14))
    assert [seqs(core.receive(event(seq), now=0)) for seq in (11, 12, 13, 14)] == [
        [11],
        [12],
        [13],
        [14],
    ]


@pytest.mark.parametrize(
    "frame",
    [
        {"op": "lagged", "room": str(ROOM), "from": 10},
        {"op": "hb.ok", "t0": 0, "t1": 0, "t2": 0, "heads": {str(ROOM): 11}},
        {"op": "live", "room": str(ROOM), "head": 11},
    ],
)
def test_word_of_something_missing_asks_for_it(frame: dict[str, Any]) -> None:
    assert listening().receive(frame, now=0) == [subscribe(10)]


def test_a_heartbeat_that_knows_no_more_asks_for_nothing() -> None:
    frame = {"op": "hb.ok", "t0": 0, "t1": 0, "t2": 0, "heads": {str(ROOM): 10}}
    assert listening().receive(frame, now=0) == []


def test_an_event_of_a_log_that_was_rebuilt_is_not_trusted() -> None:
    core = listening()
    assert core.receive(event(11, ep="2"), now=0) == [subscribe(10)]
    assert core.subscribed(ROOM, told("snapshot")) == [SnapshotNeeded(ROOM)]
    assert core.resume_from(ROOM, Cursor("2", 30)) == [
        Ask("room.sub", ROOM, {"ep": "2", "seq": 30})
    ]


def test_an_unknown_type_is_counted_and_an_unknown_frame_is_nothing() -> None:
    core = listening()
    assert seqs(core.receive(event(11, t="message.sung"), now=0)) == [11]
    assert core.receive({"op": "song", "room": str(ROOM)}, now=0) == []
    assert seqs(core.receive({**event(12), "later": 1}, now=0)) == [12]


def test_the_first_event_after_following_from_now_on_sets_the_cursor() -> None:
    core = Core()
    core.receive(ready(), now=0)
    assert core.follow(ROOM) == [Ask("room.sub", ROOM, {})]
    core.subscribed(ROOM, told("current", 10))
    assert core.rooms[ROOM].cursor == Cursor("1", 10)


def test_an_answer_that_is_older_than_an_event_does_not_take_the_cursor_back() -> None:
    core = listening()
    core.receive(event(13), now=0)
    assert seqs(core.receive(event(11), now=0)) == [11]
    core.subscribed(ROOM, told("current", 10))
    assert seqs(core.receive(event(11), now=0)) == []


def test_hello_resumes_what_has_a_cursor_and_ready_asks_for_the_rest() -> None:
    core, other = listening(), UUID(int=2)
    core.closed(1006, now=0, random=1)
    core.follow(other)
    hello = core.hello({"ticket": "t"})
    cursors = {str(ROOM): {"ep": "1", "seq": 10}}
    assert hello.body == {"ticket": "t", "resume": {"rooms": cursors}, "v": VERSION}
    assert core.receive(ready(told("replay")), now=0) == [Ask("room.sub", other, {})]


def test_a_room_that_is_gone_is_lost_and_not_asked_for_again() -> None:
    core = listening()
    assert core.receive(ready(told("gone")), now=0) == [Lost(ROOM, "gone")]
    core = listening()
    frame = {"op": "unsub", "room": str(ROOM), "reason": "kicked"}
    assert core.receive(frame, now=0) == [Lost(ROOM, "kicked")]
    assert core.receive(event(11), now=0) == []


@pytest.mark.parametrize("code", sorted(CLOSES))
def test_every_close_is_answered_as_its_row_says(code: int) -> None:
    verdict = listening().closed(code, now=0, random=0)
    if CLOSES[code].reaction == "stop":
        assert verdict == Stop(code, CLOSES[code].meaning)
    else:
        assert verdict == ComeBack(CLOSES[code].delay_ms / 1000)


def test_the_ceiling_of_the_wait_grows_with_the_time_away_and_not_with_attempts() -> None:
    core = listening()
    waits = [core.closed(1006, now=100, random=1)]
    waits += [core.not_connected(now=100, random=1) for _ in range(5)]
    assert set(waits) == {ComeBack(BACK_OFF_SECONDS_MIN)}
    assert core.not_connected(now=108, random=0.5) == ComeBack(4)
    assert core.not_connected(now=10_000, random=1) == ComeBack(BACK_OFF_SECONDS_MAX)


def test_a_connection_that_ends_at_once_does_not_end_the_trouble_one_that_lasted_does() -> None:
    core = listening()
    core.closed(1006, now=100, random=1)
    for now in (104, 108):  # a server that dies of every greeting
        core.receive(ready(), now=now)
        assert core.closed(1011, now=now, random=1) == ComeBack(now - 100)
    core.receive(ready(), now=116)
    settled_at = 116 + SETTLED_SECONDS
    assert core.closed(1006, now=settled_at, random=1) == ComeBack(BACK_OFF_SECONDS_MIN)
    core.receive(ready(), now=settled_at)
    just_before = settled_at + SETTLED_SECONDS - 0.5
    assert core.closed(1006, now=just_before, random=1) == ComeBack(SETTLED_SECONDS - 0.5)


def test_who_was_drained_comes_back_at_once_and_who_was_abusive_after_half_a_minute() -> None:
    core = listening()
    core.receive({"op": "drain", "in_ms": 5000, "resume": True}, now=0)
    assert core.closed(4012, now=5, random=0) == ComeBack(0)
    assert core.closed(4029, now=5, random=0) == ComeBack(30)


@pytest.mark.parametrize("code", [1006, 1012, 4012])
def test_a_connection_that_ends_before_the_moment_it_was_given_waits_for_it(code: int) -> None:
    core = listening()
    core.receive({"op": "drain", "in_ms": 5000, "resume": True}, now=0)
    assert core.closed(code, now=2, random=0) == ComeBack(0, not_before_seconds=3)
    assert core.closed(1006, now=2, random=0) == ComeBack(0)


def test_a_room_waits_for_its_snapshot_and_is_asked_for_once() -> None:
    core = listening()
    core.subscribed(ROOM, told("snapshot"))
    for frame in (event(12), {"op": "lagged", "room": str(ROOM), "from": 10}):
        assert core.receive(frame, now=0) == []
    core.closed(1006, now=0, random=0)
    assert core.hello({"ticket": "t"}).body["resume"] == {"rooms": {}}
    assert core.receive(ready(), now=0) == []
    assert core.resume_from(ROOM, Cursor("1", 20)) == [subscribe(20)]


def test_the_clock_of_the_server_is_known_from_a_heartbeat() -> None:
    core = listening()
    frame = {"op": "hb.ok", "t0": 1_000, "t1": 6_010, "t2": 6_020, "heads": {}}
    core.receive(frame, now=1.03)
    assert core.clock_offset_ms == 5_000


def test_a_token_that_ends_is_refreshed_in_place() -> None:
    assert listening().receive({"op": "auth.expiring", "in_ms": 1}, now=0) == [TokenNeeded()]
