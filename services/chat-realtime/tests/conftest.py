"""A whole chat service on a real PostgreSQL and a real NATS, and people who use it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
import pytest
from chat_realtime.app import create_app
from chat_realtime.live.runner import LiveSide
from chat_realtime.settings import Settings
from litestar import Litestar
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.realtime_document import check_server_frame
from seda_contracts.registry import BY_TYPE
from seda_db import Database
from seda_messaging import Bus
from seda_runtime.clock import utc_now
from seda_testkit.app import running
from seda_testkit.caller import Caller
from seda_testkit.databases import ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SERVICE = "chat-realtime"
WAIT_SECONDS = 20


class Person:
    """Somebody with a session: speaks HTTP as the gateway would pass it on, and opens sockets."""

    def __init__(self, chat: "Chat", role: str) -> None:
        self.chat = chat
        self.id = uuid4()
        self.session_id = uuid4()
        self.role = role
        who = {"user_id": self.id, "session_id": self.session_id, "role": role}
        self.ask = Caller(chat.http, chat.keys, SERVICE, **who)

    async def ok(self, method: str, path: str, **options: Any) -> Any:
        answer = await self.ask(method, path, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def room(self, *members: "Person", name: str = "lobby", is_private: bool = False) -> UUID:
        body = {"name": name, "is_private": is_private}
        room_id = UUID((await self.ok("POST", "/chat/rooms", json=body))["id"])
        for member in members:
            await self.ok(
                "POST", f"/chat/rooms/{room_id}/members", json={"user_id": str(member.id)}
            )
        return room_id

    async def post(self, room_id: UUID, text: str = "hello", **more: Any) -> Any:
        return await self.ok("POST", f"/chat/rooms/{room_id}/messages", json={"text": text, **more})

    async def events(self, room_id: UUID, after_seq: int = 0) -> list[Any]:
        path = f"/chat/rooms/{room_id}/events?after_seq={after_seq}&limit=500"
        return list((await self.ok("GET", path))["items"])

    def ticket(self, **changes: Any) -> str:
        return self.chat.keys.socket_ticket(
            self.id, session_id=self.session_id, role=self.role, **changes
        )

    @asynccontextmanager
    async def socket(
        self, *rooms: UUID, via: "Chat | None" = None, resume: dict[str, Any] | None = None
    ) -> AsyncIterator["Socket"]:
        """An open socket that has said hello and listens to `rooms`."""
        async with open_socket(via or self.chat) as socket:
            hello: dict[str, Any] = {"ticket": self.ticket()}
            if resume is not None:
                hello["resume"] = {"rooms": resume}
            await socket.say("hello", **hello)
            socket.ready = await socket.until(op="ready")
            for room in rooms:
                await socket.ask("room.sub", room)
                await socket.until(op="live", room=str(room))
            yield socket


class Socket:
    """A client of the socket that keeps what it was told and waits for what it needs."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[dict[str, Any]] = []
        self.ready: dict[str, Any] = {}
        self._taken = 0
        self._next_id = 0
        self._asked: dict[int, str] = {}
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def say(self, op: str, room: UUID | None = None, **d: Any) -> int:
        self._next_id += 1
        command: dict[str, Any] = {"id": self._next_id, "op": op, "d": d}
        if room is not None:
            command["room"] = str(room)
        self._asked[self._next_id] = op
        await self.connection.send(json.dumps(command))
        return self._next_id

    async def ask(self, op: str, room: UUID | None = None, **d: Any) -> dict[str, Any]:
        """The `ok` of a command."""
        reply = await self.reply(await self.say(op, room, **d))
        assert "ok" in reply, reply
        return dict(reply["ok"])

    async def refused(self, op: str, room: UUID | None = None, **d: Any) -> dict[str, Any]:
        """The `err` of a command."""
        reply = await self.reply(await self.say(op, room, **d))
        assert "err" in reply, reply
        return dict(reply["err"])

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """The next frame, from where the last `until` ended, that has these members."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                while self._taken < len(self.heard):
                    frame = self.heard[self._taken]
                    self._taken += 1
                    if all(frame.get(name) == value for name, value in wanted.items()):
                        return frame
                await self._more()

    def events(self, room: UUID) -> list[dict[str, Any]]:
        return [f for f in self.heard if f.get("op") == "ev" and f["room"] == str(room)]

    def live_head(self) -> int:
        """Where the room stood that went live last."""
        return next(int(frame["head"]) for frame in reversed(self.heard) if frame["op"] == "live")

    async def close_code(self) -> int | None:
        await asyncio.wait_for(self.connection.wait_closed(), WAIT_SECONDS)
        return self.connection.close_code

    async def reply(self, command_id: int) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for frame in self.heard:
                    if frame.get("id") == command_id and ("ok" in frame or "err" in frame):
                        return frame
                await self._more()

    async def _more(self) -> None:
        if self._reading.done():
            raise AssertionError(f"closed {self.connection.close_code}: {self.heard[-3:]}")
        self._news.clear()
        await self._news.wait()

    async def _read(self) -> None:
        try:
            async for message in self.connection:
                frame = json.loads(message)
                # Whatever a test is about, no server says what the published protocol has not.
                check_server_frame(frame, reply_to=self._asked.get(frame.get("id", 0)))
                self.heard.append(frame)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self._news.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await asyncio.wait_for(self._reading, WAIT_SECONDS)


@asynccontextmanager
async def open_socket(chat: "Chat") -> AsyncIterator[Socket]:
    """A socket that has not said hello."""
    url = f"ws://127.0.0.1:{chat.live.listener.port}/api/v1/realtime"
    async with (
        connect(url, subprotocols=[Subprotocol("seda.v1.json")], compression=None) as connection,
        Socket(connection) as socket,
    ):
        yield socket


class Chat:
    """One running process of the service."""

    def __init__(
        self, app: Litestar, http: httpx.AsyncClient, keys: GatewayKeys, bus: Bus, db: Database
    ) -> None:
        self.app = app
        self.http = http
        self.keys = keys
        self.bus = bus
        self.db = db

    @property
    def live(self) -> LiveSide:
        live = self.app.state.live
        assert isinstance(live, LiveSide)
        return live

    def person(self, role: str = "USER") -> Person:
        return Person(self, role)

    async def publish(
        self,
        contract: Contract,
        *,
        event_id: UUID | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say what another service would say."""
        extra = headers or {}
        producer = BY_TYPE[contract.TYPE].producer
        headers = headers_of(contract, event_id=event_id or uuid4(), service=producer, at=utc_now())
        # Without the broker's duplicate key: tests deliver twice on purpose.
        headers.pop("Nats-Msg-Id")
        await self.bus.publish(contract.subject(), contract.encode(), headers | extra)


@pytest.fixture(scope="module")
def database(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("chat_realtime", "chat")


def settings(
    database: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys, **changes: Any
) -> Settings:
    values: dict[str, Any] = {
        "env": "test",
        "port": 0,
        "socket_port": 0,
        "database_url": database.app_url,
        "nats_url": broker.url,
        "gateway_url": keys.gateway_url,
        "trace_sample_ratio": 1.0,
        "socket_tick_seconds": 0.02,
        "drain_window_seconds": 0,
        "log_level": "error",
    }
    return Settings(**(values | changes))


@asynccontextmanager
async def run_chat(
    database: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys, **changes: Any
) -> AsyncIterator[Chat]:
    app = create_app(settings(database, broker, keys, **changes))
    bus = Bus(changes.get("nats_url", broker.url), service="chat-test")
    db = Database(database.app_url, pool_size=4)
    await bus.open()
    try:
        async with running(app) as http:
            yield Chat(app, http, keys, bus, db)
    finally:
        await bus.close()
        await db.close()


@pytest.fixture(scope="module")
async def chat(
    database: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys
) -> AsyncIterator[Chat]:
    """One process, shared by the tests of a module: each makes its own people and rooms."""
    async with run_chat(database, broker, keys) as running_chat:
        yield running_chat


@pytest.fixture(scope="module")
async def other_chat(
    chat: Chat, database: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys
) -> AsyncIterator[Chat]:
    """A second process beside `chat`, on the same database and broker."""
    async with run_chat(database, broker, keys) as running_chat:
        yield running_chat


@pytest.fixture(scope="session")
def knock() -> Callable[[Chat], Any]:
    """`knock(chat)`: a socket that has not said hello."""
    return open_socket


@pytest.fixture(scope="module")
def start_chat(
    database: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys
) -> Callable[..., Any]:
    """`start_chat(**settings)`: another process, with its own settings."""

    def start(**changes: Any) -> Any:
        return run_chat(database, broker, keys, **changes)

    return start
