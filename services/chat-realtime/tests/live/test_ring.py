"""What a room keeps in memory for those who come back: no hole, no deleted words, no growth."""

from typing import Any
from uuid import UUID

import msgspec
from chat_realtime.live.ring import Ring, RingOptions, Rings
from chat_realtime.log.domain import encode_event
from seda_contracts.realtime import EventFrame

ROOM = UUID("01890000-0000-7000-8000-000000000001")


def event(seq: int, kind: str = "message.created", **d: Any) -> EventFrame:
    return EventFrame(room=ROOM, ep="1", seq=seq, acl=0, t=kind, ts=0, d=d)


def rings(**limits: int) -> Rings:
    return Rings(RingOptions(**{"ring_events_max": 8, "ring_bytes_max": 100_000} | limits))


def ring(*events: EventFrame, head: int = 0, **limits: int) -> Ring:
    made = rings(**limits).open(head=head)
    for each in events:
        append(made, each)
    return made


def append(ring: Ring, event: EventFrame) -> None:
    ring.append(encode_event(event), seq=event.seq, kind=event.t)


def shown(ring: Ring, after_seq: int) -> list[Any]:
    payloads = ring.between(after_seq, ring.head)
    assert payloads is not None
    return [msgspec.json.decode(payload) for payload in payloads]


def test_it_answers_only_what_it_has_whole() -> None:
    made = ring(*(event(seq) for seq in range(4, 7)), head=3)
    assert [each["seq"] for each in shown(made, 3)] == [4, 5, 6]
    assert [each["seq"] for each in shown(made, 5)] == [6]
    assert made.between(6, 6) == []
    assert made.between(2, 6) is None
    assert made.between(3, 7) is None


def test_the_oldest_events_go_when_there_are_too_many() -> None:
    made = ring(*(event(seq) for seq in range(1, 12)))
    assert (made.start, len(made)) == (3, 8)


def test_the_oldest_events_go_when_they_weigh_too_much() -> None:
    made = ring(*(event(seq, text="x" * 900) for seq in range(1, 8)), ring_bytes_max=4_000)
    assert (made.start, made.head) == (4, 7)
    append(made, event(8, text="x" * 5_000))
    assert len(made) == 0
    assert made.between(8, 8) == []


def test_a_hole_makes_what_came_before_it_useless() -> None:
    made = ring(event(1), event(2), event(5))
    assert made.between(1, 5) is None
    assert [each["seq"] for each in shown(made, 4)] == [5]


def test_a_deletion_takes_the_words_of_its_message_and_no_others() -> None:
    made = ring(
        event(1, id="m1", text="secret", links=["l"], author_id="a"),
        event(2, id="m2", text="a reply", parent_id="m1"),
        event(3, "message.edited", message_id="m1", text="secret still"),
        event(4, "message.deleted", message_id="m1", deleted_by="a"),
    )
    first, reply, edited, deleted = shown(made, 0)
    assert first["d"] == {"id": "m1", "author_id": "a"}
    assert reply["d"]["text"] == "a reply"
    assert edited["d"] == {"message_id": "m1"}
    assert deleted["d"] == {"message_id": "m1", "deleted_by": "a"}


def test_what_the_log_had_before_is_put_behind_without_the_words_deleted_since() -> None:
    made = ring(event(4, "message.deleted", message_id="m1"), event(5), head=3)
    made.fill([event(seq, id=f"m{seq}", text="words") for seq in range(1, 5)])
    assert [each["seq"] for each in shown(made, 0)] == [1, 2, 3, 4, 5]
    assert "text" not in shown(made, 0)[0]["d"]
    assert shown(made, 0)[1]["d"]["text"] == "words"


def test_what_does_not_reach_the_oldest_is_not_put_behind() -> None:
    made = ring(event(6), head=5)
    made.fill([event(2), event(3)])
    assert made.start == 5


def test_filling_keeps_the_limits() -> None:
    made = ring(*(event(seq) for seq in range(6, 12)), head=5)
    made.fill(event(seq) for seq in range(1, 6))
    assert made.start == 3


def weigh(*some: Ring) -> int:
    """What they hand out, counted anew."""
    return sum(
        len(payload) for each in some for payload in each.between(each.start, each.head) or ()
    )


def test_all_rooms_together_keep_their_bound_whatever_is_done_to_them() -> None:
    kept = rings(rings_bytes_max=20_000, ring_bytes_max=4_000)
    rooms = [kept.open(head=0) for _ in range(50)]
    for seq in range(1, 30):
        for place, each in enumerate(rooms):
            append(each, event(seq + (place % 7 == 0 and seq > 20), id=f"m{seq}", text="x" * 300))
            assert kept.bytes <= kept.bytes_max
    for each in rooms[::3]:
        append(each, event(each.head + 1, "message.deleted", message_id=f"m{each.head}"))
    for each in rooms[::5]:
        each.restart(each.head)
        each.fill(event(seq, text="x" * 300) for seq in range(1, each.head + 1))
        assert kept.bytes <= kept.bytes_max
    assert kept.bytes == weigh(*rooms) > 10_000
    for each in rooms:
        kept.close(each)
    assert kept.bytes == 0


def test_rooms_longest_not_read_give_up_first_and_the_oldest_events_first() -> None:
    kept = rings(rings_bytes_max=10_000)
    warm, cold, cool = (kept.open(head=0) for _ in range(3))
    for each in (warm, cold, cool):
        for seq in range(1, 5):
            append(each, event(seq, text="x" * 650))
    warm.between(0, 4)
    append(cool, event(5, text="x" * 1_000))
    assert kept.bytes <= kept.bytes_max
    assert cold.between(0, 4) is None
    assert [each["seq"] for each in shown(cold, 3)] == [4]
    assert [each["seq"] for each in shown(warm, 0)] == [1, 2, 3, 4]
    assert [each["seq"] for each in shown(cool, 0)] == [1, 2, 3, 4, 5]


def test_a_room_that_gave_up_goes_on_without_a_hole_and_is_put_behind_again() -> None:
    kept = rings(rings_bytes_max=5_000)
    cold, busy = kept.open(head=0), kept.open(head=0)
    cold.is_filled = True
    for seq in range(1, 4):
        append(cold, event(seq, id=f"m{seq}", text="x" * 300))
    append(cold, event(4, "message.deleted", message_id="m2"))
    for seq in range(1, 6):
        append(busy, event(seq, text="x" * 800))
    assert (len(cold), cold.is_filled) == (0, False)
    append(cold, event(5, text="then"))
    assert [each["seq"] for each in shown(cold, 4)] == [5]
    cold.fill([event(seq, text="of the log") for seq in range(1, 5)])
    assert [each["seq"] for each in shown(cold, 0)] == [1, 2, 3, 4, 5]
