"""A client among others: the decisions of the reference client, and what it knows."""

import contextlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seda_client import Happened, RoomState, SnapshotNeeded
from seda_client.core import Ask, Core
from seda_contracts.realtime import Cursor
from seda_testkit.eventually import eventually

from .fresh import PAGE_MESSAGES, still_shows
from .lapses import LAPSES

if TYPE_CHECKING:
    from conftest import Person, Socket

    from .world import Act, World


@dataclass
class Device:
    """One socket at a time. What it is told, clients with a lapse are told too."""

    world: "World"
    who: int
    core: Core = field(default_factory=Core)
    states: dict[UUID, RoomState] = field(default_factory=dict)
    lapses: dict[UUID, list[RoomState]] = field(default_factory=dict)
    deaf: int = 0
    """Events that get lost on the way to this device."""
    _shown: dict[UUID, Any] = field(default_factory=dict)
    """The page of each room that was loaded last."""
    _open: AsyncExitStack | None = None
    _socket: "Socket | None" = None
    _taken: int = 0
    _asked: dict[int, UUID] = field(default_factory=dict)

    @property
    def person(self) -> "Person":
        return self.world.people[self.who]

    async def connect(self, process: int = 0) -> None:
        if self._socket is not None:
            return
        self._open = AsyncExitStack()
        chat = self.world.chats[process]
        self._socket = await self._open.enter_async_context(self.world.knock(chat))
        self._taken = 0
        self._asked.clear()
        for room, state in self.states.items():
            self.core.follow(room, state.cursor)
        hello = self.core.hello({"ticket": self.person.ticket()})
        await self._socket.say(hello.op, **hello.body)
        await eventually(self._is_ready)
        await self._read_marks()

    async def disconnect(self) -> None:
        if self._socket is None or self._open is None:
            return
        self._socket.connection.transport.abort()
        await self._open.aclose()
        self._socket = None
        self.core.closed(1006, now=0, random=0)

    async def read(self, room: UUID, meanwhile: Sequence["Act"] = ()) -> None:
        """The room, its parts each at another moment, between which others go on."""
        todo = [*meanwhile]

        async def get(path: str) -> Any:
            answer = await self.person.ask("GET", f"/chat/rooms/{room}{path}")
            if todo:
                await self.world.act(todo.pop())
            return answer.json() if answer.is_success else None

        found = await get("")
        if found is None or found["membership"] is None:
            return
        views = [kind.of(self.person.id, found) for kind in (RoomState, *LAPSES)]
        cursor = ""
        while cursor is not None:
            members = await get(f"/members?limit=2{cursor and f'&cursor={cursor}'}")
            if members is None:
                return
            for view in views:
                view.load_members(members)
            cursor = members["next_cursor"]
        pins, newest = await get("/pins"), await get(f"/messages?limit={PAGE_MESSAGES}")
        if pins is None or newest is None:
            return
        for view in views:
            view.load_pins(pins)
            view.load_history(newest)
        state, *self.lapses[room] = views
        self.states[room] = state
        self._show(room, newest)
        if room in self.core.rooms:
            await self._do(self.core.resume_from(room, state.cursor))
        else:
            await self._do(self.core.follow(room, state.cursor))

    async def read_on(self, room: UUID, meanwhile: Sequence["Act"]) -> None:
        """The newest page again and the next older one, which arrive when others have gone on and
        this device heard it.
        """
        await self.connect()
        if room not in self.states:
            await self.read(room)
        state = self.states.get(room)
        if state is None or not (history := state.history()):
            return
        oldest = min(item["seq"] for item in history)
        path = f"/chat/rooms/{room}/messages?limit={PAGE_MESSAGES}"
        answers = [
            await self.person.ask("GET", f"{path}{more}") for more in ("", f"&before_seq={oldest}")
        ]
        for act in meanwhile:
            await self.act_and_hear(act)
        for answer in answers:
            if answer.is_success and self.states[room] is state:
                page = answer.json()
                for view in self._views(room):
                    view.load_history(page)
                self._show(room, page)

    async def act_and_hear(self, act: "Act") -> None:
        """Gives the event the time to arrive, if it does."""
        await self.world.act(act)
        room = self.world.rooms[act.room]
        head = await self.world.head(room)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: self._stands_at(room, head), timeout_seconds=0.2)

    async def _stands_at(self, room: UUID, head: int) -> bool:
        await self.listen()
        return self.states[room].cursor.seq >= head

    async def follow_again(self) -> None:
        """Whatever it follows no more, as somebody does who hopes to be let in again."""
        for room, state in list(self.states.items()):
            if room not in self.core.rooms:
                await self._do(self.core.follow(room, state.cursor))

    async def be_told_that_it_lags(self, room: UUID) -> None:
        state = self.states.get(room)
        if self._socket is not None and state is not None:
            lagged = {"op": "lagged", "room": str(room), "from": state.cursor.seq}
            await self._do(self.core.receive(lagged, now=0))

    async def listen(self) -> None:
        """Take what has arrived."""
        while self._socket is not None and self._taken < len(self._socket.heard):
            frame = self._socket.heard[self._taken]
            self._taken += 1
            if self.deaf and frame.get("op") == "ev":
                self.deaf -= 1
                continue
            asked = self._asked.pop(frame.get("id", 0), None)
            if asked is None:
                await self._do(self.core.receive(frame, now=0))
            elif "ok" in frame:
                await self._do(self.core.subscribed(asked, frame["ok"]))
            else:
                await self._do(self.core.refused_subscription(asked, frame["err"]["code"]))

    async def catch_up(self) -> None:
        """Connected, and as far as each room the person is in."""
        self.deaf = 0
        await self.connect()
        await self.listen()
        for room in self.world.rooms:
            found = (await self.person.ask("GET", f"/chat/rooms/{room}")).json()
            if found.get("membership") is None:
                continue
            if room not in self.states:
                await self.read(room)
            await self.follow_again()
            await self._beat()
            wanted = Cursor(found["ep"], found["last_seq"]), found["membership"]["read_seq"]
            await eventually(lambda room=room, wanted=wanted: self._has(room, wanted))

    async def _has(self, room: UUID, wanted: tuple[Cursor, int]) -> bool:
        await self.listen()
        state = self.states[room]
        membership = state.membership()
        return membership is not None and (state.cursor, membership["read_seq"]) == wanted

    async def _is_ready(self) -> bool:
        await self.listen()
        return self.core.is_ready

    async def _beat(self) -> None:
        """What was lost at the end, a heartbeat knows."""
        assert self._socket is not None
        await self._socket.say("hb", n=1, t0=0)

    async def _read_marks(self) -> None:
        for told in (await self.person.ok("GET", "/chat/unread?limit=100"))["items"]:
            for view in self._views(UUID(told["room_id"])):
                view.load_unread(told)

    def _views(self, room: UUID) -> list[RoomState]:
        return [self.states[room], *self.lapses[room]] if room in self.states else []

    def _show(self, room: UUID, page: Any) -> None:
        self._shown[room] = page
        self._look_at(room)

    def _look_at(self, room: UUID) -> None:
        """What a page has shown is not taken back by what happened before it."""
        page = self._shown[room]
        if self.states[room].cursor.seq > page["seq"]:
            return
        for view in self._views(room):
            if not still_shows(view, page):
                self.world.found.add(type(view))

    async def _do(self, decisions: Sequence[Any]) -> None:
        for decision in decisions:
            match decision:
                case Ask(op=op, room=UUID() as room, body=body) if self._socket is not None:
                    self._asked[await self._socket.say(op, room, **body)] = room
                case Happened(room, frame) if room in self.states:
                    for view in self._views(room):
                        view.apply(frame)
                    self._look_at(room)
                case SnapshotNeeded(room):
                    await self.read(room)
