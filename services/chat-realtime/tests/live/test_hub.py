"""Fan-out by bytes: what each member is handed, and when."""

from collections.abc import Callable
from uuid import UUID

from chat_realtime.live.framing import deflated_frame, text_frame
from chat_realtime.live.hub import BATCH_BYTES_MAX, Hub

ROOM = UUID("01890000-0000-7000-8000-000000000001")
OTHER = UUID("01890000-0000-7000-8000-000000000002")


class Turn:
    """The end of an event-loop turn, called by the test."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.windows_seconds: list[float] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """A window is over with the turn after the one that began it."""
        self.windows_seconds.append(seconds)
        self.callbacks.append(callback)

    def end(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


class Listening:
    """A member that keeps what it is handed; `when_written` stands for a filling buffer."""

    def __init__(self, *, deflates: bool = False) -> None:
        self.deflates = deflates
        self.writes: list[bytes] = []
        self.when_written: Callable[[], None] | None = None

    def write(self, frame: bytes) -> None:
        self.writes.append(frame)
        if self.when_written is not None:
            hook, self.when_written = self.when_written, None
            hook()


def hall(*members: Listening, head: int = 0) -> tuple[Hub, Turn]:
    turn = Turn()
    hub = Hub(turn.call_soon, turn.call_later)
    hub.open_room(ROOM, head=head)
    for member in members:
        hub.join(ROOM, member, after_seq=head)
    return hub, turn


def test_all_frames_of_a_turn_leave_in_one_write_per_member() -> None:
    ann, ben = Listening(), Listening()
    hub, turn = hall(ann, ben)
    hub.publish(ROOM, b"one", seq=1)
    hub.publish(ROOM, b"two", seq=2)
    assert ann.writes == []
    turn.end()
    joined = text_frame(b"one") + text_frame(b"two")
    assert ann.writes == ben.writes == [joined]
    assert ann.writes[0] is ben.writes[0]


def test_a_batch_does_not_outgrow_the_write_buffer() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    for seq in range(1, 6):
        hub.publish(ROOM, b"x" * (BATCH_BYTES_MAX // 2), seq=seq)
    turn.end()
    assert len(ann.writes) == 5
    assert all(len(write) <= BATCH_BYTES_MAX for write in ann.writes)


def test_a_newcomer_gets_nothing_it_has_read_from_the_log_already() -> None:
    ann, ben = Listening(), Listening()
    hub, turn = hall(ann)
    hub.publish(ROOM, b"one", seq=1)
    hub.join(ROOM, ben, after_seq=1)
    hub.publish(ROOM, b"two", seq=2)
    turn.end()
    assert b"".join(ann.writes) == text_frame(b"one") + text_frame(b"two")
    assert ben.writes == [text_frame(b"two")]


def test_a_newcomer_ahead_of_the_room_waits_until_the_room_has_caught_up() -> None:
    ben = Listening()
    hub, turn = hall()
    hub.join(ROOM, ben, after_seq=2)
    for seq, payload in ((1, b"one"), (2, b"two"), (3, b"three")):
        hub.publish(ROOM, payload, seq=seq)
    turn.end()
    assert ben.writes == [text_frame(b"three")]


def test_pausing_inside_a_write_disturbs_no_other_member() -> None:
    members = [Listening() for _ in range(5)]
    hub, turn = hall(*members)
    members[1].when_written = lambda: hub.pause(members[1])
    hub.publish(ROOM, b"one", seq=1)
    turn.end()
    assert all(member.writes == [text_frame(b"one")] for member in members)


def test_a_slow_member_is_told_once_where_its_hole_begins() -> None:
    ann, ben = Listening(), Listening()
    hub, turn = hall(ann, ben, head=10)
    ann.when_written = lambda: hub.pause(ann)
    hub.publish(ROOM, b"eleven", seq=11)
    turn.end()
    hub.publish(ROOM, b"twelve", seq=12)
    hub.publish_ephemeral(ROOM, b"typing")
    turn.end()
    assert ann.writes == [text_frame(b"eleven")]
    hub.resume(ann)
    notice = b'{"op":"lagged","room":"%s","from":11}' % str(ROOM).encode()
    assert ann.writes[1:] == [text_frame(notice)]
    hub.publish(ROOM, b"thirteen", seq=13)
    turn.end()
    assert ann.writes[2:] == [text_frame(b"thirteen")]


def test_the_event_that_made_a_batch_too_large_is_part_of_the_hole() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    ann.when_written = lambda: hub.pause(ann)
    hub.publish(ROOM, b"one", seq=1)
    hub.publish(ROOM, b"x" * BATCH_BYTES_MAX, seq=2)
    turn.end()
    assert ann.writes == [text_frame(b"one")]
    hub.resume(ann)
    notice = b'{"op":"lagged","room":"%s","from":1}' % str(ROOM).encode()
    assert ann.writes[1:] == [text_frame(notice)]


def test_a_slow_member_that_missed_nothing_is_told_nothing() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    hub.pause(ann)
    hub.publish_ephemeral(ROOM, b"typing")
    turn.end()
    hub.resume(ann)
    assert ann.writes == []


def test_of_each_state_a_slow_member_gets_the_latest() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    hub.pause(ann)
    for rev in (b"1", b"2", b"3"):
        hub.publish_state(ROOM, "author:x", rev)
    turn.end()
    hub.resume(ann)
    assert ann.writes == [text_frame(b"3")]


def test_pausing_in_one_room_pauses_the_member_in_all_its_rooms() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    hub.open_room(OTHER, head=4)
    hub.join(OTHER, ann, after_seq=4)
    hub.pause(ann)
    hub.publish(OTHER, b"five", seq=5)
    turn.end()
    assert ann.writes == []
    hub.resume(ann)
    assert b"".join(ann.writes) == text_frame(
        b'{"op":"lagged","room":"%s","from":4}' % str(OTHER).encode()
    )


def test_joining_while_paused_begins_slow() -> None:
    ann = Listening()
    hub, turn = hall()
    hub.pause(ann)
    hub.join(ROOM, ann, after_seq=0)
    hub.publish(ROOM, b"one", seq=1)
    turn.end()
    assert ann.writes == []


def test_leaving_gets_what_came_before_and_nothing_after() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    hub.publish(ROOM, b"one", seq=1)
    hub.leave(ROOM, ann)
    hub.publish(ROOM, b"two", seq=2)
    turn.end()
    assert ann.writes == [text_frame(b"one")]


def test_a_dropped_member_is_never_written_to_again() -> None:
    ann = Listening()
    hub, turn = hall(ann)
    hub.publish(ROOM, b"one", seq=1)
    assert hub.drop(ann) == {ROOM}
    turn.end()
    assert ann.writes == []


def test_a_heartbeat_can_tell_where_each_room_stands() -> None:
    ann = Listening()
    hub, _turn = hall(ann)
    hub.publish(ROOM, b"one", seq=1)
    assert hub.heads(ann) == {ROOM: 1}


def test_one_message_is_compressed_once_for_all_who_agreed_on_it() -> None:
    ann, ben, cas = Listening(), Listening(deflates=True), Listening(deflates=True)
    hub, turn = hall(ann, ben, cas)
    hub.publish(ROOM, b"one" * 50, seq=1)
    turn.end()
    assert ann.writes == [text_frame(b"one" * 50)]
    assert ben.writes == [deflated_frame(b"one" * 50)]
    assert ben.writes[0] is cas.writes[0]


def test_who_reads_compressed_and_stops_is_told_of_the_hole_like_everyone() -> None:
    ben = Listening(deflates=True)
    hub, turn = hall(ben, head=5)
    hub.pause(ben)
    hub.publish(ROOM, b"lost", seq=6)
    hub.publish_state(ROOM, "who", b"state")
    turn.end()
    assert ben.writes == []
    hub.resume(ben)
    (write,) = ben.writes
    assert b'"lagged"' in write
    assert write.endswith(text_frame(b"state"))
    hub.publish(ROOM, b"next", seq=7)
    turn.end()
    assert ben.writes[1:] == [deflated_frame(b"next")]
    hub.leave(ROOM, ben)
    hub.publish(ROOM, b"not for ben", seq=8)
    turn.end()
    assert len(ben.writes) == 2


def test_a_big_room_that_goes_on_talking_is_written_to_once_per_window() -> None:
    members = [Listening() for _ in range(400)]
    hub, turn = hall(*members)
    hub.publish(ROOM, b"at once", seq=1)
    turn.end()
    assert members[0].writes == [text_frame(b"at once")]
    hub.publish(ROOM, b"waits", seq=2)
    hub.publish(ROOM, b"too", seq=3)
    assert len(members[0].writes) == 1
    turn.end()
    assert members[0].writes[1:] == [text_frame(b"waits") + text_frame(b"too")]
    turn.end()
    assert turn.callbacks == []
    assert turn.windows_seconds == [0.002, 0.002]


def test_a_small_room_has_no_window() -> None:
    hub, turn = hall(*(Listening() for _ in range(20)))
    hub.publish(ROOM, b"one", seq=1)
    turn.end()
    assert turn.callbacks == turn.windows_seconds == []
