"""Several people, two rooms, and devices that come and go: what the tests of states play with."""

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from chat_realtime.log.store import positions
from seda_client import Happened, RoomState, SnapshotNeeded
from seda_client.core import Ask, Core
from seda_client.room_state import moment
from seda_contracts.events.unfurl import TrackCard, TrackResolved, link_id
from seda_contracts.events.user import UserState
from seda_contracts.realtime import Cursor
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person, Socket

Knock = Callable[["Chat"], AbstractAsyncContextManager["Socket"]]
Request = tuple[str, str, Any]
REFUSALS = {401, 403, 404, 409, 423, 429}
PAGE_MESSAGES = 3
MESSAGES_BEFORE = 5
"""More than a page, so that there is something older."""
EMOJI = ("🔥", "🎧", "💜")


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody tries. `n` chooses among whatever the act needs."""

    kind: str
    actor: int
    target: int
    room: int
    n: int


class World:
    """Person 0 owns both rooms, 1 moderates them, the others are members, the last has two devices.

    The second room is private.
    """

    def __init__(self, chats: "Sequence[Chat]", people: "Sequence[Person]", knock: Knock) -> None:
        self.chats = chats
        self.people = people
        self.knock = knock
        self.rooms: list[UUID] = []
        self.said: dict[UUID, list[tuple[str, int]]] = {}
        self.links = [f"https://tunes.example/track/{uuid4().hex}" for _ in range(2)]
        self.card_version = 0
        self.gone_since: dict[tuple[int, UUID], int] = {}
        """By which event somebody lost a room that they have not got back."""
        self.devices = [Device(self, who) for who in [*range(len(people)), len(people) - 1]]

    async def open(self) -> None:
        owner, moderator, *members = self.people
        for is_private in (False, True):
            room = await owner.room(moderator, *members, is_private=is_private)
            path = f"/chat/rooms/{room}/members/{moderator.id}"
            await owner.ok("PATCH", path, json={"role": "moderator"})
            self.rooms.append(room)
            self.said[room] = []
            for n in range(MESSAGES_BEFORE):
                who, last = n % len(self.people), len(self.rooms) - 1
                await self.act(Act(kind="send", actor=who, target=0, room=last, n=n))

    async def close(self) -> None:
        for device in self.devices:
            await device.disconnect()

    async def head(self, room: UUID) -> int:
        async with self.chats[0].db.read() as tx:
            return (await positions(tx, [room]))[room].seq

    # What people do.

    async def act(self, act: Act) -> Any:
        """What was answered, or None when a rule refused it."""
        room = self.rooms[act.room]
        if act.kind == "card":
            await self.resolve(act.n)
            return None
        if act.kind in ("edit", "delete") and self.said[room]:
            actor = self.said[room][act.n % len(self.said[room])][1]
        else:
            actor = act.actor
        request = self._request(act, room)
        if request is None:
            return None
        method, path, body = request
        options = {} if body is None else {"json": body}
        answer = await self.people[actor].ask(method, f"/chat/rooms/{room}{path}", **options)
        if answer.status_code in REFUSALS or "cannot_moderate_self" in answer.text:
            return None
        assert answer.is_success, f"{act}: {answer.text}"
        told = answer.json() if answer.content else {}
        if act.kind in ("send", "reply"):
            self.said[room].append((told["id"], actor))
        await self._note_who_is_there(act, room)
        return told

    def _request(self, act: Act, room: UUID) -> Request | None:
        """None for what needs a message while there is none."""
        said = self.said[room]
        about_room = self._about_room(act)
        if act.kind in about_room or not said:
            return about_room.get(act.kind)
        return self._about_message(act, said[act.n % len(said)][0])[act.kind]

    def _about_room(self, act: Act) -> dict[str, Request]:
        target, n = str(self.people[act.target].id), act.n
        member, moderation = f"/members/{target}", {"reason": "because", "user_id": target}
        until = (utc_now() + timedelta(hours=1 + n)).isoformat()
        settings: tuple[dict[str, Any], ...] = (
            {"name": f"room {n}"},
            {"description": f"about {n}"},
            {"slow_mode_seconds": n % 3},
            {"locked": n == 7},
        )
        acts_on_people = {
            kind: ("POST", "/moderation", {"kind": kind, **moderation})
            for kind in ("kick", "ban", "unban", "unmute")
        }
        return {
            **acts_on_people,
            "send": ("POST", "/messages", {"text": self._words(act)}),
            "join": ("POST", "/join", None),
            "leave": ("POST", "/leave", None),
            "add": ("POST", "/members", {"user_id": target}),
            "mute": ("POST", "/moderation", {"kind": "mute", "until": until, **moderation}),
            "role": ("PATCH", member, {"role": ("member", "moderator")[n % 2]}),
            "own": ("PATCH", member, {"role": "owner"}),
            "set": ("PATCH", "", settings[n % 4]),
            "archive": ("PATCH", "", {"archived": n == 0}),
            "read": ("PUT", "/read", {"seq": n}),
        }

    def _about_message(self, act: Act, message: str) -> dict[str, Request]:
        words, path = self._words(act), f"/messages/{message}"
        reaction, pin = f"{path}/reactions/{EMOJI[act.n % len(EMOJI)]}", f"/pins/{message}"
        bury = {"kind": "delete_message", "reason": "because", "message_id": message}
        return {
            "reply": ("POST", "/messages", {"text": words, "parent_id": message}),
            "edit": ("PATCH", path, {"text": words}),
            "delete": ("DELETE", path, None),
            "bury": ("POST", "/moderation", bury),
            "react": ("PUT", reaction, None),
            "unreact": ("DELETE", reaction, None),
            "pin": ("PUT", pin, None),
            "unpin": ("DELETE", pin, None),
        }

    def _words(self, act: Act) -> str:
        """With links and names, now and then."""
        first, second = self.links
        named = f"@{handle_of(self.people[act.n % len(self.people)])}"
        more = ("", first, named, f"{second} {first}", f"{named} {second}", "")[act.n % 6]
        return f"{act.kind} {act.n} {more}"

    async def _note_who_is_there(self, act: Act, room: UUID) -> None:
        if act.kind in ("kick", "ban"):
            self.gone_since[act.target, room] = await self.head(room)
        elif act.kind == "leave":
            self.gone_since.setdefault((act.actor, room), await self.head(room))
        elif act.kind in ("join", "add"):
            self.gone_since.pop((act.actor if act.kind == "join" else act.target, room), None)

    async def resolve(self, n: int) -> None:
        """A link gets a card, or a newer one."""
        self.card_version += 1
        url, version = self.links[n % len(self.links)], self.card_version
        card = TrackCard(
            track_id=link_id(url),
            provider="example",
            kind="track",
            canonical_url=url,
            status="ok",
            title=f"Song {version}",
        )
        resolved = TrackResolved(
            link_id=link_id(url), url=url, card=card, card_version=version, resolved_at=utc_now()
        )
        await self.chats[0].publish(resolved)
        query = text("SELECT 1 FROM chat.card WHERE link_id = :id AND card_version = :version")

        async def is_there() -> Any:
            async with self.chats[0].db.read() as tx:
                return await tx.scalar(query, {"id": link_id(url), "version": version})

        await eventually(is_there)

    # What must be true.

    async def check(self) -> None:
        """All of it, for everybody; and that the log alone would have been enough."""
        for device in self.devices:
            await device.catch_up()
        for room in self.rooms:
            inside = []
            for who, person in enumerate(self.people):
                fresh = await read_anew(person, room)
                for device in (each for each in self.devices if each.who == who):
                    self._check_one(device, room, fresh)
                if fresh is not None:
                    inside.append((person, fresh))
            person, fresh = inside[0]
            assert_same(await self.from_the_log_alone(person, room), fresh)

    async def check_device(self, device: "Device", room: UUID) -> None:
        await device.catch_up()
        self._check_one(device, room, await read_anew(device.person, room))

    def _check_one(self, device: "Device", room: UUID, fresh: "Fresh | None") -> None:
        """Who is in the room knows what reading it anew would tell; who is not has been told
        nothing since.
        """
        state = device.states.get(room)
        if fresh is not None:
            assert state is not None
            assert_same(state, fresh)
        elif state is not None and (device.who, room) in self.gone_since:
            assert state.cursor.seq < self.gone_since[device.who, room]

    async def from_the_log_alone(
        self, person: "Person", room: UUID, leave_out: Callable[[Any], Any] = lambda event: event
    ) -> RoomState:
        """A client that has read nothing but the log. Read marks are no matter of the room's."""
        state = RoomState(person.id, room)
        for event in await person.events(room):
            state.apply(leave_out(event))
        for told in (await person.ok("GET", "/chat/unread?limit=100"))["items"]:
            if told["room_id"] == str(room):
                state.load_unread(told)
        return state


@dataclass
class Device:
    """A client: the decisions of the reference client, one socket at a time, and what it knows."""

    world: World
    who: int
    core: Core = field(default_factory=Core)
    states: dict[UUID, RoomState] = field(default_factory=dict)
    deaf: int = 0
    """Events that get lost on the way to this device."""
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

    async def read(self, room: UUID, meanwhile: Sequence[Act] = ()) -> None:
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
        state = RoomState.of(self.person.id, found)
        cursor = ""
        while cursor is not None:
            members = await get(f"/members?limit=2{cursor and f'&cursor={cursor}'}")
            if members is None:
                return
            state.load_members(members)
            cursor = members["next_cursor"]
        pins, newest = await get("/pins"), await get(f"/messages?limit={PAGE_MESSAGES}")
        if pins is None or newest is None:
            return
        state.load_pins(pins)
        state.load_history(newest)
        self.states[room] = state
        if room in self.core.rooms:
            await self._do(self.core.resume_from(room, state.cursor))
        else:
            await self._do(self.core.follow(room, state.cursor))

    async def read_on(self, room: UUID, meanwhile: Sequence[Act]) -> None:
        """The next older page, which arrives when others have gone on and this device heard it."""
        await self.connect()
        if room not in self.states:
            await self.read(room)
        state = self.states.get(room)
        if state is None or not (history := state.history()):
            return
        oldest = min(item["seq"] for item in history)
        path = f"/chat/rooms/{room}/messages?limit={PAGE_MESSAGES}&before_seq={oldest}"
        answer = await self.person.ask("GET", path)
        for act in meanwhile:
            await self.act_and_hear(act)
        if answer.is_success and self.states[room] is state:
            state.load_history(answer.json())

    async def act_and_hear(self, act: Act) -> None:
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
            state = self.states.get(UUID(told["room_id"]))
            if state is not None:
                state.load_unread(told)

    async def _do(self, decisions: Sequence[Any]) -> None:
        for decision in decisions:
            match decision:
                case Ask(op=op, room=UUID() as room, body=body) if self._socket is not None:
                    self._asked[await self._socket.say(op, room, **body)] = room
                case Happened(room, frame) if room in self.states:
                    self.states[room].apply(frame)
                case SnapshotNeeded(room):
                    await self.read(room)


def handle_of(person: "Person") -> str:
    return f"p{person.id.hex[:20]}"


async def introduce(chat: "Chat", person: "Person") -> None:
    """Tell chat a name, by which others can name the person."""
    handle = handle_of(person)
    state = UserState(user_id=person.id, handle=handle, display_name=handle, version=1)
    await chat.publish(state)
    query = text("SELECT 1 FROM chat.person WHERE user_id = :user_id")

    async def is_known() -> Any:
        async with chat.db.read() as tx:
            return await tx.scalar(query, {"user_id": person.id})

    await eventually(is_known)


@dataclass(kw_only=True)
class Fresh:
    """A room as HTTP tells it at this moment."""

    room: Any
    membership: Any
    members: list[Any]
    pins: list[Any]
    history: list[Any]
    threads: dict[str, list[Any]]
    """Those that history does not show whole."""


async def read_anew(person: "Person", room: UUID) -> Fresh | None:
    """None for who is not in the room."""
    answer = await person.ask("GET", f"/chat/rooms/{room}")
    found = answer.json()
    if not answer.is_success or found["membership"] is None:
        return None
    paths = ("/members?limit=100", "/pins", "/messages?limit=100")
    members, pins, history = [
        (await person.ok("GET", f"/chat/rooms/{room}{path}"))["items"] for path in paths
    ]
    threads = {
        root["id"]: (
            await person.ok("GET", f"/chat/rooms/{room}/messages/{root['id']}/replies?limit=100")
        )["items"]
        for root in history
        if root["reply_count"] > len(root["replies"])
    }
    return Fresh(
        room=found,
        membership=found.pop("membership"),
        members=members,
        pins=pins,
        history=history,
        threads=threads,
    )


def assert_same(state: RoomState, fresh: Fresh) -> None:
    """As far back as the state goes."""
    assert plain(state.room()) == plain(fresh.room)
    assert plain(state.membership()) == plain(fresh.membership)
    assert plain(state.members()) == plain(fresh.members)
    assert state.pins() == [item["id"] for item in fresh.pins]
    for item in fresh.pins:
        if (known := state.message(item["id"])) is not None:
            assert plain(known) == plain(item)
    history = state.history()
    assert len(history) >= min(PAGE_MESSAGES, len(fresh.history))
    assert plain(history) == plain(fresh.history[: len(history)])
    for root in history:
        replies = state.thread(root["id"])
        if root["id"] in fresh.threads and len(replies) == root["reply_count"]:
            assert plain(replies) == plain(fresh.threads[root["id"]])


def plain(told: Any) -> Any:
    """Times as times: PostgreSQL and Python write them in two ways."""
    if isinstance(told, dict):
        return {
            name: moment(value)
            if isinstance(value, str) and name.endswith(("_at", "_until"))
            else plain(value)
            for name, value in told.items()
        }
    return [plain(each) for each in told] if isinstance(told, list) else told
