"""What a board says and shows, and when; its clock is turned by hand, its words go by hand."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from chat_realtime.presence.board import Board, PresenceOptions
from chat_realtime.presence.domain import LISTED_MAX, DeviceStatus
from seda_contracts.live import room_subject
from seda_contracts.realtime import PresenceState, StateFrame

ROOM = UUID(int=1)
ANN, BEN, CAT = UUID(int=11), UUID(int=12), UUID(int=13)
GATHER_SECONDS = 0.05
FULL_ROOM_SECONDS = 1.0
OPTIONS = PresenceOptions(gather_seconds=GATHER_SECONDS, full_room_seconds=FULL_ROOM_SECONDS)
PEOPLE = [UUID(int=number) for number in range(100, 100 + LISTED_MAX + 50)]

People = dict[UUID, DeviceStatus]


class Waiting:
    """What is to be called then, unless it is cancelled."""

    def __init__(self, clock: "Clock", at: float, call: Callable[[], None]) -> None:
        self.clock, self.at, self.call = clock, at, call

    def cancel(self) -> None:
        self.clock.waiting.remove(self)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.waiting: list[Waiting] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[UUID], None], room: UUID, /) -> Waiting:
        waiting = Waiting(self, when, lambda: callback(room))
        self.waiting.append(waiting)
        return waiting

    def run(self, seconds: float = 0) -> None:
        """All that is due until then, in turn; without seconds the end of this turn."""
        end = self.now + seconds
        while due := [each for each in self.waiting if each.at <= end]:
            first = min(due, key=lambda each: each.at)
            self.waiting.remove(first)
            self.now = max(self.now, first.at)
            first.call()
        self.now = end


class Viewer:
    """What a client believes, by what the protocol says of `presence`."""

    def __init__(self, first: bytes) -> None:
        self.people: dict[UUID, str] = {}
        self.count = -1
        self.whole_rev = -1
        self.take(first)

    def take(self, payload: bytes) -> None:
        frame = msgspec.json.decode(payload, type=StateFrame)
        state = msgspec.convert(frame.d, PresenceState)
        if frame.rev < self.whole_rev:
            return
        if state.whole:
            self.people, self.whole_rev = {}, frame.rev
        for each in state.people:
            self.people[each.user_id] = each.status
            if each.status == "offline":
                del self.people[each.user_id]
        self.count = state.count


class Process:
    """A board with sockets. What it says arrives when `deliver` is called."""

    def __init__(self, clock: Clock) -> None:
        self.people: People = {}
        self.words: list[bytes] = []
        self.told_at: list[float] = []
        self.viewers: list[Viewer] = []
        self.slow: list[Viewer] = []
        self.missed: dict[Viewer, Callable[[], bytes]] = {}
        self.peers: list[Process] = []
        self.clock = clock
        self.board = Board(
            cast("Any", None),
            cast("Any", self),
            lambda _: list(self.people.items()),
            self.show,
            OPTIONS,
            clock,
        )
        self.board.opened(ROOM)
        self.words.clear()

    def publish(self, subject: str, payload: bytes) -> None:
        assert subject == room_subject(ROOM)
        self.words.append(payload)

    def show(self, room: UUID, key: str, payload: bytes, whole: Callable[[], bytes]) -> None:
        assert (room, key) == (ROOM, "presence")
        self.told_at.append(self.clock.now)
        for viewer in self.viewers:
            viewer.take(payload)
        for viewer in self.slow:
            self.missed[viewer] = whole

    def watch(self) -> Viewer:
        viewer = Viewer(msgspec.json.encode(self.board.whole(ROOM)))
        self.viewers.append(viewer)
        return viewer

    def pause(self, viewer: Viewer) -> None:
        self.viewers.remove(viewer)
        self.slow.append(viewer)

    def resume(self, viewer: Viewer) -> None:
        self.slow.remove(viewer)
        self.viewers.append(viewer)
        if viewer in self.missed:
            viewer.take(self.missed.pop(viewer)())

    def come(self, who: UUID, status: DeviceStatus = "online") -> None:
        self.people[who] = status
        self.board.changed(ROOM)

    def go(self, who: UUID) -> None:
        self.people.pop(who, None)
        self.board.changed(ROOM)

    def visible(self) -> dict[UUID, str]:
        return {who: status for who, status in self.people.items() if status != "invisible"}

    def deliver(self) -> None:
        words, self.words = self.words, []
        for word in words:
            for peer in self.peers:
                peer.board.hear(ROOM, word)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def process(clock: Clock) -> Process:
    return Process(clock)


@pytest.fixture
def other(clock: Clock, process: Process) -> Process:
    second = Process(clock)
    second.peers, process.peers = [process], [second]
    return second


def test_the_first_change_is_told_at_once_and_what_follows_soon_together(
    clock: Clock, process: Process
) -> None:
    viewer = process.watch()
    process.come(ANN)
    clock.run()
    assert viewer.people == {ANN: "online"}
    assert len(process.words) == 1
    for who in (BEN, CAT):
        clock.run(0.01)
        process.come(who)
    clock.run()
    assert viewer.people == {ANN: "online"}
    clock.run(GATHER_SECONDS)
    assert viewer.people == {ANN: "online", BEN: "online", CAT: "online"}
    assert len(process.words) == 2
    clock.run(GATHER_SECONDS)
    process.go(BEN)
    clock.run()
    assert set(viewer.people) == {ANN, CAT}


def test_what_two_processes_say_without_a_pause_is_shown_in_turns_with_a_gap_between(
    clock: Clock, process: Process, other: Process
) -> None:
    viewer = process.watch()
    for number, who in enumerate(PEOPLE[:80]):
        (process, other)[number % 2].come(who)
        for _ in range(10):
            clock.run(0.001)
            process.deliver()
            other.deliver()
    turns = sorted(set(process.told_at))
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert min(gaps) > GATHER_SECONDS - 0.001
    clock.run(2 * GATHER_SECONDS)
    other.deliver()
    clock.run(GATHER_SECONDS)
    assert viewer.people == dict.fromkeys(PEOPLE[:80], "online")


def test_who_came_and_went_between_two_tells_stays_with_no_newcomer(
    clock: Clock, process: Process, other: Process
) -> None:
    other.come(BEN)
    clock.run(GATHER_SECONDS / 2)
    process.come(ANN)
    clock.run()
    other.deliver()
    newcomer = process.watch()
    other.go(BEN)
    clock.run(GATHER_SECONDS / 2)
    other.deliver()
    told = len(process.told_at)
    clock.run(2 * GATHER_SECONDS)
    assert len(process.told_at) == told
    assert newcomer.people == {ANN: "online"}


def test_a_room_that_was_full_is_told_once_in_a_while_until_it_is_not(
    clock: Clock, process: Process
) -> None:
    viewer = process.watch()
    for who in PEOPLE[: LISTED_MAX + 1]:
        process.come(who)
    clock.run()
    assert viewer.count == LISTED_MAX + 1
    process.go(PEOPLE[0])
    clock.run(FULL_ROOM_SECONDS / 2)
    assert viewer.count == LISTED_MAX + 1
    clock.run(FULL_ROOM_SECONDS / 2)
    assert set(viewer.people) == set(PEOPLE[1 : LISTED_MAX + 1])
    process.go(PEOPLE[1])
    clock.run(GATHER_SECONDS)
    assert set(viewer.people) == set(PEOPLE[2 : LISTED_MAX + 1])


def test_a_room_that_closes_says_its_last_change_and_leaves_no_timer(
    clock: Clock, process: Process, other: Process
) -> None:
    viewer = other.watch()
    process.come(ANN)
    clock.run()
    process.deliver()
    clock.run(GATHER_SECONDS)
    assert viewer.people == {ANN: "online"}
    process.come(BEN)
    process.go(BEN)
    process.go(ANN)
    process.board.closed(ROOM)
    assert clock.waiting == []
    process.deliver()
    clock.run()
    assert viewer.people == {}
    process.board.changed(ROOM)
    assert clock.waiting == []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_what_was_told_last_is_the_truth(seed: int) -> None:
    """For everybody, whenever they came; words are late, in the order they were said."""
    chance, clock = Random(seed), Clock()
    processes = [Process(clock) for _ in range(3)]
    for process in processes:
        process.peers = [peer for peer in processes if peer is not process]
    people = PEOPLE[: chance.choice((4, 30, len(PEOPLE)))]
    for _ in range(200 + 8 * len(people)):
        happen(chance.choice(processes), chance.choice(people), chance)
    for _ in range(2):
        clock.run(2 * FULL_ROOM_SECONDS)
        for process in processes:
            process.deliver()
    clock.run(2 * FULL_ROOM_SECONDS)
    for process in processes:
        for viewer in list(process.slow):
            process.resume(viewer)
    assert clock.waiting == []
    truth = together(processes)
    for process in processes:
        for viewer in [*process.viewers, process.watch()]:
            if len(truth) <= LISTED_MAX:
                assert viewer.people == truth
            else:
                assert viewer.people.items() <= truth.items()
                assert viewer.count == sum(len(each.visible()) for each in processes)


def happen(process: Process, who: UUID, chance: Random) -> None:
    match chance.randrange(10):
        case 0 | 1:
            process.come(who)
        case 2:
            process.come(who, chance.choice(("idle", "invisible")))
        case 3:
            process.go(who)
        case 4:
            process.deliver()
        case 5:
            process.watch()
        case 6 if process.viewers:
            process.pause(chance.choice(process.viewers))
        case 7 if process.slow:
            process.resume(chance.choice(process.slow))
        case 8:
            process.clock.run()
        case _:
            process.clock.run(chance.random() * GATHER_SECONDS)


def together(processes: list[Process]) -> dict[UUID, str]:
    shown: dict[UUID, str] = {}
    for process in processes:
        for who, status in process.visible().items():
            if shown.get(who) != "online":
                shown[who] = status
    return shown
