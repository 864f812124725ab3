"""A small client of the public API, as any program outside would write it, and a bare socket.

Answers are the JSON the API gives. What a client must understand to work (tokens, tickets, replies,
frames) is typed; the rest is left as it came. `watching` has the socket as people use it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from seda_client import Ticket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from seda_testkit.watching import Watcher, watching

PREFIX = "/api/v1"
SUBPROTOCOL = Subprotocol("seda.v1.json")
REPLY_SECONDS_MAX = 10.0
FRAME_SECONDS_MAX = 10.0

Json = dict[str, Any]


class ApiError(Exception):
    """The API answered with a problem; `code` is its stable name."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code}: {text}")
        self.status = status
        self.code = code


class CommandRefused(Exception):
    """The socket answered a command with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error.get('code')}: {error.get('msg', '')}")
        self.code: str = error.get("code", "")


@dataclass(frozen=True, slots=True)
class Tokens:
    user_id: str
    access_token: str
    refresh_token: str


class Api:
    """The gateway as one caller sees it. `as_user` gives the same for somebody signed in."""

    def __init__(self, http: httpx.AsyncClient, tokens: Tokens | None = None) -> None:
        self._http = http
        self._tokens = tokens

    @classmethod
    @asynccontextmanager
    async def at(cls, gateway_url: str) -> AsyncIterator["Api"]:
        async with httpx.AsyncClient(base_url=gateway_url, trust_env=False, timeout=30) as http:
            yield cls(http)

    @property
    def user_id(self) -> str:
        assert self._tokens is not None, "nobody is signed in"
        return self._tokens.user_id

    def as_user(self, tokens: Tokens) -> "Api":
        return Api(self._http, tokens)

    async def get(self, path: str, **query: Any) -> Json:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: Json | None = None) -> Json:
        return await self.call("POST", path, body=body)

    async def call(
        self, method: str, path: str, *, body: Json | None = None, query: Json | None = None
    ) -> Json:
        """Raises ApiError for every answer of 400 or more."""
        headers = {}
        if self._tokens is not None:
            headers["Authorization"] = f"Bearer {self._tokens.access_token}"
        answer = await self._http.request(
            method, PREFIX + path, json=body, params=query or None, headers=headers
        )
        if answer.status_code >= 400:
            raise _api_error(answer)
        return dict(answer.json()) if answer.content else {}

    async def sign_up(self, email: str, password: str, display_name: str) -> "Api":
        body = {"email": email, "password": password, "display_name": display_name}
        return self.as_user(_tokens(await self.post("/auth/signup", body)))

    async def log_in(self, email: str, password: str) -> "Api":
        body = {"email": email, "password": password}
        return self.as_user(_tokens(await self.post("/auth/login", body)))

    async def refresh(self) -> "Api":
        """New tokens, which hold what changed since (a role)."""
        assert self._tokens is not None, "nobody is signed in"
        body = {"refresh_token": self._tokens.refresh_token}
        return self.as_user(_tokens(await self.post("/auth/refresh", body)))

    async def ticket(self) -> Ticket:
        answer = await self.post("/realtime/connect")
        return Ticket(answer["url"], ticket=answer["ticket"])

    def watching(self) -> AbstractAsyncContextManager[Watcher]:
        """The socket of this user as long as the block lasts, whatever breaks in between."""
        return watching(self.ticket)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator["LiveSocket"]:
        """A bare socket of this user, past its greeting."""
        ticket = await self.ticket()
        async with LiveSocket.open(ticket.url, ticket=ticket.ticket) as socket:
            yield socket


@dataclass(frozen=True, slots=True)
class Frame:
    """What the server sent by itself."""

    content: Json

    @property
    def op(self) -> str:
        return str(self.content.get("op", ""))

    @property
    def room(self) -> str:
        return str(self.content.get("room", ""))


class LiveSocket:
    """One `seda.rt.v1` connection that says what it is told to and ends when it ends, for tests of
    the protocol. Frames are kept, so none is missed between two waits.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._next_id = 1
        self._replies: dict[int, asyncio.Future[Json]] = {}
        self._arrived = asyncio.Condition()
        self.frames: list[Frame] = []
        self.close_code: int | None = None
        self.greeted: Json = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        ticket: str | None = None,
        token: str | None = None,
        resume: Json | None = None,
    ) -> AsyncIterator["LiveSocket"]:
        """Greets with a ticket of the gateway or an access token. Raises CommandRefused.

        `resume` maps rooms to the `ep` and `seq` from which to go on; `greeted` says what came of
        it.
        """
        async with connect(url, subprotocols=[SUBPROTOCOL], proxy=None) as connection:
            socket = cls(connection)
            reading = asyncio.create_task(socket._read())
            beating = asyncio.create_task(socket._beat())
            try:
                greeting: Json = {"ticket": ticket} if ticket is not None else {"token": token}
                if resume:
                    greeting["resume"] = {"rooms": resume}
                socket.greeted = await socket.command("hello", greeting)
                yield socket
            finally:
                for task in (beating, reading):
                    task.cancel()
                await asyncio.gather(beating, reading, return_exceptions=True)

    async def command(self, op: str, body: Json | None = None, *, room: str | None = None) -> Json:
        """The `ok` of the reply. Raises CommandRefused, or TimeoutError without a reply."""
        number, self._next_id = self._next_id, self._next_id + 1
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        # Where sending fails first, nobody asks the reply how it ended.
        reply.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        content: Json = {"id": number, "op": op, "d": body or {}}
        if room is not None:
            content["room"] = room
        try:
            await self._connection.send(json.dumps(content))
            # Not `wait_for`: in Python 3.11 it may forget that we were told to stop.
            async with asyncio.timeout(REPLY_SECONDS_MAX):
                return await reply
        finally:
            del self._replies[number]

    async def subscribe(self, room: str) -> None:
        """Returns when everything that happens from now on arrives here."""
        await self.command("room.sub", room=room)
        await self.wait_for(lambda frame: frame.op == "live" and frame.room == room)

    async def wait_for(
        self, wanted: Callable[[Frame], bool], *, timeout_seconds: float = FRAME_SECONDS_MAX
    ) -> Frame:
        """The first frame like that, also among those that came before. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            looked_at = 0
            while True:
                for frame in self.frames[looked_at:]:
                    if wanted(frame):
                        return frame
                looked_at = len(self.frames)
                if self.close_code is not None:
                    raise ConnectionError(f"the socket was closed with {self.close_code}")
                await self._arrived.wait()

    async def nth(self, number: int) -> Frame:
        """The frame with that number, from 0, once it has come. Raises ConnectionError."""
        async with self._arrived:
            while number >= len(self.frames):
                if self.close_code is not None:
                    raise ConnectionError(f"the socket was closed with {self.close_code}")
                await self._arrived.wait()
            return self.frames[number]

    async def _read(self) -> None:
        try:
            async for message in self._connection:
                content = json.loads(message)
                for item in content if isinstance(content, list) else [content]:
                    self._take(Frame(item))
                async with self._arrived:
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass  # the code below says how
        self.close_code = self._connection.close_code
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionError(f"closed with {self.close_code}"))
        async with self._arrived:
            self._arrived.notify_all()

    def _take(self, frame: Frame) -> None:
        reply = self._replies.get(frame.content.get("id", 0))
        if reply is None or reply.done():
            self.frames.append(frame)
        elif "err" in frame.content:
            reply.set_exception(CommandRefused(frame.content["err"]))
        else:
            reply.set_result(frame.content.get("ok", frame.content))

    async def _beat(self) -> None:
        welcome = await self.wait_for(lambda frame: frame.op == "welcome")
        while True:
            await asyncio.sleep(welcome.content["hb_ms"] / 1000)
            await self.command("hb", {"n": 0, "t0": time.time() * 1000})


def _tokens(answer: Json) -> Tokens:
    return Tokens(answer["user_id"], answer["access_token"], answer["refresh_token"])


def _api_error(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
    except ValueError:
        return ApiError(answer.status_code, "not_json", answer.text[:200])
    what = problem.get("detail") or problem.get("title") or ""
    return ApiError(answer.status_code, problem.get("code", ""), f"{what} {problem.get('errors')}")
