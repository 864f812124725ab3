"""Fan-out by bytes: what each member is handed, and when."""

import re
from collections.abc import Callable
from functools import partial
from random import Random
from uuid import UUID

import pytest
from chat_realtime.live.audience import BATCH_BYTES_MAX, SHARE_MEMBERS_MAX
from chat_realtime.live.framing import deflated_frame, text_frame
from chat_realtime.live.hub import Hub

ROOM = UUID("01890000-0000-7000-8000-000000000001")
OTHER = UUID("01890000-0000-7000-8000-000000000002")


class Turn:
    """The end of an event-loop turn, called by the test."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
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
    hub = Hub(turn.call_soon)
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


def test_what_comes_while_a_big_room_is_written_to_goes_along_with_the_shares_that_follow() -> None:
    members = [Listening() for _ in range(2 * SHARE_MEMBERS_MAX)]
    hub, turn = hall(*members)
    first, last = members[0], members[-1]
    hub.publish(ROOM, b"one", seq=1)
    turn.end()
    assert (first.writes, last.writes) == ([text_frame(b"one")], [])
    hub.publish(ROOM, b"two", seq=2)
    turn.end()
    assert last.writes == [text_frame(b"one") + text_frame(b"two")]
    turn.end()
    assert first.writes == [text_frame(b"one"), text_frame(b"two")]
    assert turn.callbacks == []


def test_a_member_that_changes_its_share_hears_nothing_twice() -> None:
    members = [Listening() for _ in range(SHARE_MEMBERS_MAX + 1)]
    hub, turn = hall(*members)
    first, last = members[0], members[-1]
    last.when_written = lambda: hub.pause(last)
    hub.publish(ROOM, b"one", seq=1)
    turn.end()
    turn.end()
    hub.publish(ROOM, b"two", seq=2)
    turn.end()
    # A place in the first share, which has had its turn; nobody is in another.
    hub.leave(ROOM, first)
    hub.publish(ROOM, b"three", seq=3)
    hub.resume(last)
    turn.end()
    notice = b'{"op":"lagged","room":"%s","from":1}' % str(ROOM).encode()
    assert last.writes == [text_frame(b"one"), text_frame(notice), text_frame(b"three")]


class Reader(Listening):
    """Checks that it hears every event once and in order, but for the holes it is told of."""

    def __init__(self, head: int) -> None:
        super().__init__()
        self.heard = head
        self.head = head
        self.read_up_to: int | None = None
        """Where it is with the log since it was told of a hole, until it hears the next event."""

    def write(self, frame: bytes) -> None:
        for word in frame.decode(errors="ignore").split("#")[1:-1:2]:
            self._hear(int(word))
        if (hole := re.search(rb'"lagged".*"from":(\d+)', frame)) is not None:
            assert self.heard <= int(hole[1]) <= (self.read_up_to or self.heard)
            self.read_up_to = self.head
        super().write(frame)

    def _hear(self, seq: int) -> None:
        assert self.heard < seq <= (self.read_up_to or self.heard) + 1
        self.heard = seq
        self.read_up_to = None


class World:
    """A room whose members come, go, stop and go on at any moment."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.hub, self.turn = hall()
        self.here: list[Reader] = []
        self.paused: list[Reader] = []
        self.head = 0

    def publish(self) -> None:
        self.head += 1
        for reader in self.here:
            reader.head = self.head
        if self.here and self.random.random() < 0.2:
            weak = self.random.choice(self.here)
            weak.when_written = partial(self.pause, weak)
        self.hub.publish(ROOM, b"#%d#" % self.head, seq=self.head)

    def end_turn(self) -> None:
        self.turn.end()

    def join(self) -> None:
        self.here.append(Reader(self.head))
        self.hub.join(ROOM, self.here[-1], after_seq=self.head)

    def leave(self) -> None:
        if self.here:
            gone = self.here.pop(self.random.randrange(len(self.here)))
            gone.when_written = None
            self.paused = [each for each in self.paused if each is not gone]
            self.hub.drop(gone)

    def pause(self, reader: Reader | None = None) -> None:
        if self.here:
            reader = reader or self.random.choice(self.here)
            if reader not in self.paused:
                self.paused.append(reader)
                self.hub.pause(reader)

    def resume(self) -> None:
        if self.paused:
            self.hub.resume(self.paused.pop())

    def settle(self) -> None:
        while self.turn.callbacks:
            self.turn.end()
        while self.paused:
            self.resume()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_between_turns_nobody_hears_an_event_twice_or_misses_one_unsaid(
    seed: int,
) -> None:
    world = World(Random(seed))
    acts = [world.publish, world.end_turn, world.leave, world.pause, world.resume]
    for _ in range(1500):
        world.random.choice([*acts, world.join, world.join])()
    assert len(world.here) > 2 * SHARE_MEMBERS_MAX
    world.settle()
    for reader in world.here:
        reader.when_written = None
    world.publish()
    for reader in world.here:
        reader.when_written = None
    world.settle()
    assert {reader.heard for reader in world.here} == {world.head}
