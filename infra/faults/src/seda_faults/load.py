"""People who sign up, post, edit, react and paste links, and who try again until they are told."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

import httpx
from seda_client import Refused
from seda_messaging.cancellation import still_wanted
from seda_testkit.client import Api, ApiError, CommandRefused
from websockets.exceptions import WebSocketException

from seda_faults.following import Follower
from seda_faults.history import History, Operation
from seda_faults.listening import Listener

PASSWORD = "lanterns-over-water-7"
PAUSE_SECONDS = 0.25
NEWCOMER_SECONDS = 2.0
TRY_AGAIN_SECONDS = 0.2
EMOJI = ("🔥", "🎧", "💿", "🌊")
TRACKS = range(1, 9)
NOT_TOLD = (OSError, TimeoutError, httpx.HTTPError, WebSocketException)
TRY_AGAIN_STATUS = frozenset({401, 408, 425, 429})
"""Below 500 and yet no answer to the question: keys that cannot be read, limits."""
TRY_AGAIN_CODES = frozenset({"unavailable", "internal", "rate_limited"})

T = TypeVar("T")


class Person:
    """Somebody signed in and in every room, who listens by a socket of their own; where chat has
    several processes, by another one as well, with the reference client.
    """

    def __init__(self, number: int, api: Api, rooms: list[str], crowd: "Crowd") -> None:
        self.name = name = f"person{number}"
        self.api = api
        urls = crowd.socket_urls
        self.listener = Listener(api, crowd.heard_by(name), urls[number % len(urls)])
        self.second: Follower | None = None
        if len(urls) > 1:
            heard = crowd.heard_by(f"{name}'s second device")
            self.second = Follower(api, heard, urls[(number + 1) % len(urls)])
        self._rooms = rooms
        self._crowd = crowd
        self._random = random.Random(f"{crowd.seed}-{name}")
        self._own: list[tuple[str, str]] = []

    async def live(self) -> None:
        """Listen, and do one thing after the other until cancelled."""
        while still_wanted():
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * PAUSE_SECONDS)
            await self._random.choices(
                (self._post, self._share, self._edit, self._react), (45, 20, 15, 20)
            )[0]()

    async def _post(self) -> None:
        await self._send(f"{self.name} says {uuid4().hex}")

    async def _share(self) -> None:
        number = self._random.choice(TRACKS)
        await self._send(f"http://tunes.example/track/{number}?from={uuid4().hex[:12]}")

    async def _send(self, text: str) -> None:
        room, cid = self._random.choice(self._rooms), str(uuid4())
        operation = self._crowd.history.invoke("message", cid)
        body = {"text": text, "cid": cid}
        way = self._random.random()
        by_socket = way < 0.5
        client = self.second.client if self.second is not None and way < 0.25 else None

        async def attempt() -> str:
            if client is not None:
                return str((await client.send(UUID(room), text, cid=cid))["msg"])
            socket = self.listener.socket
            # The retry of a command whose socket broke may come by the other way: one cid, one
            # message.
            if by_socket and socket is not None:
                return str((await socket.command("msg.send", body, room=room))["msg"])
            answer = await self.api.post(f"/chat/rooms/{room}/messages", body)
            return str(answer["id"])

        message = await until_told(operation, attempt)
        if message is not None:
            self._own.append((room, message))
            self._crowd.messages.append((room, message))

    async def _edit(self) -> None:
        if not self._own:
            return
        room, message = self._random.choice(self._own)
        text = f"{self.name} means {uuid4().hex}"
        operation = self._crowd.history.invoke("edit", f"{message} {text}")
        path = f"/chat/rooms/{room}/messages/{message}"
        await until_told(operation, lambda: self.api.call("PATCH", path, body={"text": text}))

    async def _react(self) -> None:
        if not self._crowd.messages:
            return
        room, message = self._random.choice(self._crowd.messages)
        emoji = self._random.choice(EMOJI)
        key = f"{message} {self.api.user_id} {emoji}"
        if key in self._crowd.reactions:
            return
        self._crowd.reactions.add(key)
        operation = self._crowd.history.invoke("reaction", key)
        path = f"/chat/rooms/{room}/messages/{message}/reactions/{emoji}"
        await until_told(operation, lambda: self.api.call("PUT", path))


class Crowd:
    """Everybody of one run."""

    def __init__(self, api: Api, seed: int, socket_urls: list[str]) -> None:
        self.seed = seed
        self.socket_urls = socket_urls
        self.history = History()
        self.people: list[Person] = []
        self.rooms: list[str] = []
        self.messages: list[tuple[str, str]] = []
        self.reactions: set[str] = set()
        self._api = api

    async def gather(self, *, people: int, rooms: int) -> None:
        """Before anything breaks: accounts, rooms, everybody in every room."""
        signed_up = [await self._sign_up(f"person{number}") for number in range(people)]
        owner = signed_up[0]
        for number in range(rooms):
            body = {"name": f"Under fire {number}"}
            made = await insist(partial(owner.post, "/chat/rooms", body))
            self.rooms.append(str(made["id"]))
        for room in self.rooms:
            for other in signed_up[1:]:
                await insist(partial(other.post, f"/chat/rooms/{room}/join"))
        self.people = [
            Person(number, api, self.rooms, self) for number, api in enumerate(signed_up)
        ]

    async def let_in(self, name: str, room: str) -> Api:
        """Somebody who is a member of one room and does not take part in the load."""
        api = await self._sign_up(name)
        await insist(partial(api.post, f"/chat/rooms/{room}/join"))
        return api

    def heard_by(self, device: str) -> dict[str, list[int]]:
        return self.history.seen.setdefault(device, {room: [] for room in self.rooms})

    def devices(self) -> list[Listener | Follower]:
        seconds = [person.second for person in self.people if person.second is not None]
        return [*(person.listener for person in self.people), *seconds]

    async def live(self, seconds: float) -> None:
        """Returns when everybody has stopped; what nobody was told by then is `info`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._newcomers())
                for person in self.people:
                    tasks.create_task(person.live())
        for operation in self.history.operations:
            if operation.outcome == "invoked":
                operation.outcome = "info"

    async def _newcomers(self) -> None:
        number = 0
        while still_wanted():
            number += 1
            await self._sign_up(f"newcomer{number}")
            await asyncio.sleep(NEWCOMER_SECONDS)

    async def _sign_up(self, name: str) -> Api:
        email = f"{name}-{uuid4().hex[:8]}@demo.example"
        operation = self.history.invoke("sign-up", email)

        async def attempt() -> Api:
            if operation.attempts == 1:
                return await self._api.sign_up(email, PASSWORD, name)
            try:
                return await self._api.log_in(email, PASSWORD)
            except ApiError as error:
                if error.status >= 500:
                    raise
                return await self._api.sign_up(email, PASSWORD, name)

        api = await until_told(operation, attempt)
        assert api is not None, f"{name} was refused"
        return api


async def until_told(operation: Operation, attempt: Callable[[], Awaitable[T]]) -> T | None:
    """Try until there is an answer. None when it is no; the operation notes which."""

    async def counted() -> T:
        operation.attempts += 1
        return await attempt()

    try:
        answer = await insist(counted)
    except (ApiError, CommandRefused, Refused):
        # After an attempt nobody answered, a no does not say that nothing happened.
        operation.outcome = "fail" if operation.attempts == 1 else "info"
        return None
    operation.outcome = "ok"
    return answer


async def insist(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until there is an answer. Raises ApiError and CommandRefused when it is no."""
    while still_wanted():
        try:
            return await attempt()
        except CommandRefused as error:
            if error.code not in TRY_AGAIN_CODES:
                raise
        except ApiError as error:
            if error.status < 500 and error.status not in TRY_AGAIN_STATUS:
                raise
        except NOT_TOLD:
            pass
        await asyncio.sleep(TRY_AGAIN_SECONDS)
    raise asyncio.CancelledError
