"""Several people, two rooms, and devices that come and go: what the tests of states play with."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from chat_realtime.log.store import positions
from seda_client import RoomState
from seda_contracts.events.unfurl import TrackCard, TrackResolved, link_id
from seda_contracts.events.user import UserState
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text

from .device import Device
from .fresh import Fresh, assert_same, is_same, read_anew

if TYPE_CHECKING:
    from conftest import Chat, Person, Socket

Knock = Callable[["Chat"], AbstractAsyncContextManager["Socket"]]
Request = tuple[str, str, Any]
REFUSALS = {401, 403, 404, 409, 423, 429}
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
        self.roots: dict[UUID, list[int]] = {}
        """Where in `said` are those that answer none."""
        self.links = [f"https://tunes.example/track/{uuid4().hex}" for _ in range(2)]
        self.card_version = 0
        self.acts = 0
        self.gone_since: dict[tuple[int, UUID], int] = {}
        """By which event somebody lost a room that they have not got back."""
        self.found: set[type[RoomState]] = set()
        """Whose lapse has shown."""
        self.devices = [Device(self, who) for who in [*range(len(people)), len(people) - 1]]

    async def open(self) -> None:
        owner, moderator, *members = self.people
        for is_private in (False, True):
            room = await owner.room(moderator, *members, is_private=is_private)
            path = f"/chat/rooms/{room}/members/{moderator.id}"
            await owner.ok("PATCH", path, json={"role": "moderator"})
            self.rooms.append(room)
            self.said[room], self.roots[room] = [], []
            for n in range(MESSAGES_BEFORE):
                who, last = n % len(self.people), len(self.rooms) - 1
                await self.act(Act(kind="send", actor=who, target=0, room=last, n=n))
        for device in self.devices:
            await device.connect()
            for room in self.rooms:
                await device.read(room)

    async def close(self) -> None:
        for device in self.devices:
            await device.disconnect()

    async def head(self, room: UUID) -> int:
        async with self.chats[0].db.read() as tx:
            return (await positions(tx, [room]))[room].seq

    # What people do.

    async def act(self, act: Act) -> Any:
        """What was answered, or None when a rule refused it."""
        self.acts += 1
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
            if act.kind == "send":
                self.roots[room].append(len(self.said[room]))
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
        return f"{act.kind} {self.acts} {more}"

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

    async def check_device(self, device: Device, room: UUID) -> None:
        await device.catch_up()
        self._check_one(device, room, await read_anew(device.person, room))

    def _check_one(self, device: Device, room: UUID, fresh: Fresh | None) -> None:
        """Who is in the room knows what reading it anew would tell; who is not has been told
        nothing since.
        """
        state = device.states.get(room)
        if fresh is not None:
            assert state is not None
            assert_same(state, fresh)
            assert RoomState not in self.found
            for lapse in device.lapses[room]:
                if not is_same(lapse, fresh):
                    self.found.add(type(lapse))
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
