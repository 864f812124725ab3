"""The port alone, with an application that says back what it hears."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from chat_realtime.live.listener import Connection, Listener, ListenerOptions
from websockets.frames import Frame, Opcode

PATH = "/api/v1/realtime"
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


class Echo:
    """An edge that says back what it hears and keeps what it was told."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.events: list[str] = []
        self.messages: list[bytes] = []
        self._seen: dict[str, asyncio.Event] = {}

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._seen.setdefault(event, asyncio.Event()).set()

    async def heard(self, event: str) -> None:
        async with asyncio.timeout(5):
            await self._seen.setdefault(event, asyncio.Event()).wait()

    def opened(self, connection: Connection) -> None:
        connection.client = self
        self.connections.append(connection)
        self._note("opened")

    def received(self, connection: Connection, payload: bytes) -> None:
        self.messages.append(payload)
        connection.send(payload)

    def received_binary(self, connection: Connection, payload: bytes) -> None:
        self.messages.append(payload)
        connection.write(Frame(Opcode.BINARY, payload).serialize(mask=False))

    def closed(self, connection: Connection) -> None:
        self._note("closed")

    def paused(self, connection: Connection) -> None:
        self._note("paused")

    def resumed(self, connection: Connection) -> None:
        self._note("resumed")

    def ticked(self, connection: Connection, now: float) -> None:
        pass


@contextlib.asynccontextmanager
async def listen(**options: Any) -> AsyncIterator[tuple[Listener, Echo]]:
    edge = Echo()
    defaults = {
        "tick_seconds": 0.02,
        "origins": ("https://seda.example",),
    }
    listener = Listener(ListenerOptions(**{**defaults, **options}), edge)
    await listener.start()
    try:
        yield listener, edge
    finally:
        # Whoever is left over need not be asked first.
        for connection in list(listener.connections):
            connection.abort()
        await listener.close()


@pytest.fixture
def listening() -> Callable[..., Any]:
    """`listening(**options)`: the listener and its edge, for as long as the context lasts."""
    return listen


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Any]]:
    """`raw(listener)`: reader, writer and the answer to a handshake, without any library."""
    writers: list[asyncio.StreamWriter] = []

    async def knock(
        listener: Listener, path: str = PATH, more: str = "", request: bytes | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writers.append(writer)
        writer.write(request or HANDSHAKE.format(path=path, more=more).encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        return reader, writer, head

    yield knock
    for writer in writers:
        writer.transport.abort()
