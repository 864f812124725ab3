"""State equals events: whatever people do and however their connections break, what a client has
after it was told of it is what reading the room anew gives.

`make states` looks further than the few examples that run with every test.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from seda_client import RoomState
from seda_contracts.realtime_events import EVENTS

from .fresh import PAGE_MESSAGES, Fresh, assert_same, is_same, read_anew
from .lapses import LAPSES
from .world import MESSAGES_BEFORE, Act, World, introduce

if TYPE_CHECKING:
    from conftest import Chat

    from .world import Knock

PEOPLE = 4
DEVICES = PEOPLE + 1
REPLAY_ENTRIES = 8
"""So short here that who was away for a while has to read a snapshot."""
EXAMPLES_SETTING = "STATE_EXAMPLES"

# Without too much of what ends a story early: deleted messages, muted people, archived rooms.
TALK = (
    *("send", "reply", "reply", "edit", "edit", "react", "react", "react", "unreact"),
    *("delete", "card", "read"),
)
ARRANGE = ("pin", "pin", "pin", "unpin", "set", "archive", "bury", "mute", "unmute", "role")
MEANWHILE = ("edit", "edit", "edit", "react", "react", "react", "unreact", "reply")
AND_MORE = (*MEANWHILE, "reply", "pin", "delete")
COME_AND_GO = ("join", "leave", "add", "add", "kick", "ban", "unban")


def acts(*kinds: str) -> st.SearchStrategy[Act]:
    people = st.integers(0, PEOPLE - 1)
    return st.builds(
        Act,
        kind=st.sampled_from(kinds),
        actor=people,
        target=people,
        room=st.integers(0, 1),
        n=st.integers(0, 23),
    )


def by_staff(*kinds: str) -> st.SearchStrategy[Act]:
    """Of the two who may."""
    return acts(*kinds).map(lambda act: replace(act, actor=act.actor % 2))


devices = st.integers(0, DEVICES - 1)
rooms = st.integers(0, 1)
meanwhiles = st.lists(acts(*MEANWHILE), min_size=4, max_size=5)
more_meanwhile = st.lists(acts(*AND_MORE), min_size=4, max_size=5)
newer = st.integers(-PAGE_MESSAGES, -1)
older = st.integers(-MESSAGES_BEFORE, -PAGE_MESSAGES - 1)
"""Messages of the newest page and before it, counted from the last."""


class StateMachine(RuleBasedStateMachine):
    make_world: Callable[[], World]
    loop: asyncio.AbstractEventLoop
    found: set[type[RoomState]]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()
        self.run(self.world.open())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    async def one_after_the_other(self, several: list[Act]) -> None:
        for act in several:
            await self.world.act(act)

    def about_one_message(self, room: int, place: int, several: list[Act]) -> list[Act]:
        n = self.world.roots[self.world.rooms[room]][place]
        return [replace(act, room=room, n=n) for act in several]

    @rule(several=st.lists(acts(*TALK), min_size=4, max_size=10))
    def people_talk(self, several: list[Act]) -> None:
        self.run(self.one_after_the_other(several))

    @rule(several=st.lists(by_staff(*ARRANGE), min_size=2, max_size=5))
    def staff_arranges(self, several: list[Act]) -> None:
        self.run(self.one_after_the_other(several))

    @rule(
        several=st.lists(
            st.one_of(acts("join", "leave"), by_staff(*COME_AND_GO)), min_size=2, max_size=4
        )
    )
    def people_come_and_go(self, several: list[Act]) -> None:
        self.run(self.one_after_the_other(several))

    @rule(mute=by_staff("mute"), goes=by_staff("kick", "leave"))
    def somebody_muted_goes_and_comes_back(self, mute: Act, goes: Act) -> None:
        who, room = mute.target % 2 + 2, mute.room
        mute = replace(mute, target=who)
        goes = replace(goes, target=who, room=room)
        if goes.kind == "leave":
            goes = replace(goes, actor=who)
        self.run(self.one_after_the_other([mute, goes, replace(mute, kind="add")]))
        self.what_a_device_knows_is_true(mute.actor, room)

    @rule(device=devices, process=st.integers(0, 1))
    def a_device_connects(self, device: int, process: int) -> None:
        self.run(self.world.devices[device].connect(process))

    @rule(device=devices)
    def a_device_is_cut_off(self, device: int) -> None:
        self.run(self.world.devices[device].disconnect())

    @rule(device=devices)
    def a_device_listens(self, device: int) -> None:
        self.run(self.world.devices[device].listen())

    @rule(device=devices, events=st.integers(1, 3))
    def events_are_lost_on_the_way(self, device: int, events: int) -> None:
        self.world.devices[device].deaf += events

    @rule(device=devices, room=rooms)
    def a_device_lags(self, device: int, room: int) -> None:
        self.run(self.world.devices[device].be_told_that_it_lags(self.world.rooms[room]))

    @rule(device=devices, room=rooms, meanwhile=meanwhiles, place=newer)
    def a_device_reads_a_room(
        self, device: int, room: int, meanwhile: list[Act], place: int
    ) -> None:
        there = self.about_one_message(room, place, meanwhile)
        self.run(self.world.devices[device].connect())
        self.run(self.world.devices[device].read(self.world.rooms[room], there))
        self.what_a_device_knows_is_true(device, room)

    @rule(device=devices, room=rooms, here=meanwhiles, there=more_meanwhile, new=newer, old=older)
    def pages_arrive_late(
        self, device: int, room: int, here: list[Act], there: list[Act], new: int, old: int
    ) -> None:
        acts = self.about_one_message(room, new, here) + self.about_one_message(room, old, there)
        self.run(self.world.devices[device].read_on(self.world.rooms[room], acts))
        self.what_a_device_knows_is_true(device, room)

    @rule(device=devices)
    def a_device_hopes_to_be_let_in_again(self, device: int) -> None:
        self.run(self.world.devices[device].follow_again())

    @rule(device=devices, room=rooms)
    def what_a_device_knows_is_true(self, device: int, room: int) -> None:
        self.run(self.world.check_device(self.world.devices[device], self.world.rooms[room]))

    def teardown(self) -> None:
        try:
            self.run(self.world.check())
        finally:
            self.found |= self.world.found
            self.run(self.world.close())


@pytest.fixture(scope="module")
async def make_world(chat: "Chat", other_chat: "Chat", knock: "Knock") -> Callable[[], World]:
    people = [chat.person() for _ in range(PEOPLE)]
    for person in people:
        await introduce(chat, person)
    return lambda: World((chat, other_chat), people, knock)


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    """On which the service runs, for a test that is no coroutine itself."""
    return asyncio.get_running_loop()


def test_state_equals_events(
    make_world: Callable[[], World],
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat_realtime.live.joining.REPLAY_ENTRIES_MAX", REPLAY_ENTRIES)
    more = os.environ.get(EXAMPLES_SETTING)
    found: set[type[RoomState]] = set()
    machine = type(
        "Machine",
        (StateMachine,),
        {"make_world": staticmethod(make_world), "loop": loop, "found": found},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            # The same few every time, so that a change that fails is the change's fault.
            max_examples=int(more) if more else 6,
            derandomize=not more,
            phases=[Phase.generate, Phase.shrink] if more else [Phase.generate],
            stateful_step_count=25,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=bool(more),
        ),
    )
    if not more:  # a few other stories may well miss one
        assert found == set(LAPSES)


# In the first room people leave in every way, in the second everybody stays.
SCRIPT = [
    Act(kind="send", actor=2, target=0, room=0, n=4),
    Act(kind="send", actor=3, target=0, room=0, n=3),
    Act(kind="card", actor=0, target=0, room=0, n=1),
    Act(kind="reply", actor=2, target=0, room=0, n=0),
    Act(kind="edit", actor=0, target=0, room=0, n=2),
    Act(kind="react", actor=2, target=0, room=0, n=0),
    Act(kind="react", actor=3, target=0, room=0, n=0),
    Act(kind="unreact", actor=2, target=0, room=0, n=0),
    Act(kind="pin", actor=1, target=0, room=0, n=1),
    Act(kind="pin", actor=1, target=0, room=0, n=0),
    Act(kind="unpin", actor=1, target=0, room=0, n=0),
    Act(kind="send", actor=2, target=0, room=0, n=5),
    Act(kind="delete", actor=2, target=0, room=0, n=3),
    Act(kind="set", actor=1, target=0, room=0, n=1),
    Act(kind="kick", actor=1, target=2, room=0, n=0),
    Act(kind="ban", actor=1, target=3, room=0, n=0),
    Act(kind="own", actor=0, target=1, room=0, n=0),
    Act(kind="leave", actor=0, target=0, room=0, n=0),
    Act(kind="mute", actor=1, target=2, room=1, n=0),
    Act(kind="mute", actor=1, target=3, room=1, n=0),
    Act(kind="kick", actor=1, target=3, room=1, n=0),
    Act(kind="add", actor=1, target=3, room=1, n=0),
]
WITHOUT_STATE = {"card.unresolvable"}
OPTIONAL = [
    ("member.joined", "joined_at"),
    ("member.joined", "muted_until"),
    ("message.created", "links"),
    ("message.created", "mentions"),
    ("message.deleted", "deleted_at"),
    ("message.pinned", "pinned_at"),
    ("reaction.changed", "first_at"),
    ("room.created", "created_at"),
    ("room.created", "is_private"),
]


async def test_every_event_and_every_field_of_it_is_missed_when_it_is_missing(
    make_world: Callable[[], World],
) -> None:
    """Else the test above could not fail."""
    world = make_world()
    await world.open()
    for act in SCRIPT:
        await world.act(act)
    viewer, found = world.people[1], set()
    fresh = {room: await read_anew(viewer, room) for room in world.rooms}
    for room in world.rooms:
        found |= {event["t"] for event in await viewer.events(room)}
        assert_same(await world.from_the_log_alone(viewer, room), _there(fresh[room]))
    assert found == set(EVENTS) - WITHOUT_STATE

    async def is_missed(leave_out: Callable[[Any], Any]) -> bool:
        for room in world.rooms:
            state = await world.from_the_log_alone(viewer, room, leave_out)
            if not is_same(state, _there(fresh[room])):
                return True
        return False

    for kind in sorted(found):
        assert await is_missed(_without_event(kind)), kind
    for kind, name in OPTIONAL:
        assert await is_missed(_without_field(kind, name)), (kind, name)


def _there(fresh: Fresh | None) -> Fresh:
    assert fresh is not None
    return fresh


def _without_event(kind: str) -> Callable[[Any], Any]:
    return lambda event: {**event, "t": "unknown"} if event["t"] == kind else event


def _without_field(kind: str, name: str) -> Callable[[Any], Any]:
    def leave_out(event: Any) -> Any:
        if event["t"] != kind:
            return event
        return {**event, "d": {each: value for each, value in event["d"].items() if each != name}}

    return leave_out
