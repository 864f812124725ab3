"""The port against a real client library and against raw bytes of a hostile one."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chat_realtime.live.listener import Connection, Listener, ListenerOptions
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

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
        self._seen: dict[str, asyncio.Event] = {}

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._seen.setdefault(event, asyncio.Event()).set()

    async def heard(self, event: str) -> None:
        await self._seen.setdefault(event, asyncio.Event()).wait()

    def opened(self, connection: Connection) -> None:
        connection.client = self
        self.connections.append(connection)
        self._note("opened")

    def received(self, connection: Connection, payload: bytes) -> None:
        connection.send(payload)

    def closed(self, connection: Connection) -> None:
        self._note("closed")

    def paused(self, connection: Connection) -> None:
        self._note("paused")

    def resumed(self, connection: Connection) -> None:
        self._note("resumed")

    def ticked(self, connection: Connection, now: float) -> None:
        pass


@contextlib.asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[tuple[Listener, Echo]]:
    edge = Echo()
    defaults = {"tick_seconds": 0.02, "origins": ("https://seda.example",)}
    listener = Listener(ListenerOptions(**{**defaults, **options}), edge)
    await listener.start()
    try:
        yield listener, edge
    finally:
        await listener.close()


def client(listener: Listener, **more: Any) -> Any:
    options = {"subprotocols": [Subprotocol("seda.v1.json")], "compression": None, **more}
    path = options.pop("path", PATH)
    return connect(f"ws://127.0.0.1:{listener.port}{path}", **options)


async def close_code(ws: ClientConnection) -> int:
    await asyncio.wait_for(ws.wait_closed(), 5)
    assert ws.close_code is not None
    return ws.close_code


async def until(edge: Echo, event: str) -> None:
    async with asyncio.timeout(5):
        await edge.heard(event)


def masked(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return head + length + b"\0\0\0\0" + payload


async def raw(
    listener: Listener, path: str = PATH, more: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(HANDSHAKE.format(path=path, more=more).encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return reader, writer, head


async def raw_close_code(data: bytes) -> int:
    """What the server's close frame says to these bytes."""
    async with listening() as (listener, _edge):
        reader, writer, _head = await raw(listener)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    position = answer.index(b"\x88")
    return int.from_bytes(answer[position + 2 : position + 4], "big")


async def test_a_text_comes_back_with_its_subprotocol() -> None:
    async with listening() as (listener, _edge), client(listener) as ws:
        assert ws.subprotocol == "seda.v1.json"
        await ws.send("grüße")
        assert await ws.recv() == "grüße"


async def test_fragments_are_one_message_even_with_a_ping_between() -> None:
    async with listening() as (listener, _edge):
        reader, writer, _head = await raw(listener)
        writer.write(masked(1, b"one ", fin=False) + masked(9, b"?") + masked(0, b"two"))
        answer = await asyncio.wait_for(reader.readexactly(3 + 9), 5)
        # The pong first: its ping came before the message was whole (Autobahn 5.6, 5.19, 5.20).
        assert answer == b"\x8a\x01?" + b"\x81\x07one two"
        writer.close()


async def test_a_client_library_that_fragments_is_understood() -> None:
    async with listening() as (listener, _edge), client(listener) as ws:
        await ws.send(["a", "b", "c"])
        assert await ws.recv() == "abc"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(1, b"\xff\xfe"), 1007),
        (masked(1, b"\xc3", fin=False) + masked(0, b"\x28"), 1007),
        (masked(2, b"binary"), 1003),
        (masked(1, b"x", rsv=0x40), 1002),
        (masked(0, b"no beginning"), 1002),
        (b"\x81\x01x", 1002),
        (masked(1, b"x" * 16_385), 1009),
        (masked(1, b"x" * 9_000, fin=False) + masked(0, b"x" * 9_000), 1009),
        (masked(3, b""), 1002),
        (masked(9, b"x" * 126), 1002),
    ],
)
async def test_a_broken_frame_ends_with_its_code(data: bytes, code: int) -> None:
    assert await raw_close_code(data) == code


async def test_the_largest_allowed_message_passes() -> None:
    async with listening() as (listener, _edge), client(listener) as ws:
        await ws.send("x" * 16_384)
        assert await ws.recv() == "x" * 16_384


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://seda.example.evil"])
async def test_a_foreign_origin_is_refused_before_the_upgrade(origin: str) -> None:
    async with listening() as (listener, edge):
        with pytest.raises(InvalidStatus) as refusal:
            await client(listener, origin=Origin(origin))
        assert refusal.value.response.status_code == 403
        assert edge.events == []


async def test_our_own_origin_is_welcome() -> None:
    async with (
        listening() as (listener, _edge),
        client(listener, origin=Origin("https://seda.example")) as ws,
    ):
        await ws.send("hi")
        assert await ws.recv() == "hi"


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/elsewhere", "", b"404"),
        (PATH + "?token=secret", "", b"400"),
        (PATH, "Cookie: __Host-seda_at=victim\r\n", b"403"),
        (PATH, "Sec-WebSocket-Protocol: seda.v9.json\r\n", b"400"),
    ],
)
async def test_a_wrong_request_is_answered_and_closed(path: str, more: str, status: bytes) -> None:
    async with listening() as (listener, edge):
        reader, writer, head = await raw(listener, path, more)
        assert head.split()[1] == status
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert edge.events == []


async def test_a_plain_request_is_told_to_upgrade() -> None:
    async with listening() as (listener, _edge):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"426" in await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_a_handshake_that_does_not_end_is_cut() -> None:
    async with listening(handshake_timeout_seconds=0.05) as (listener, _edge):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_close_frame_reaches_the_client_with_its_code() -> None:
    async with listening() as (listener, edge), client(listener) as ws:
        await until(edge, "opened")
        edge.connections[0].close(4012, "drained")
        assert await close_code(ws) == 4012
        assert ws.close_reason == "drained"


async def test_nothing_is_sent_after_a_close_frame() -> None:
    async with listening() as (listener, edge), client(listener) as ws:
        await until(edge, "opened")
        connection = edge.connections[0]
        connection.close(4000, "")
        connection.send(b"late")
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert edge.events == ["opened", "closed"]


async def test_a_client_that_does_not_answer_a_close_is_cut_at_the_deadline() -> None:
    async with listening(close_timeout_seconds=0.05) as (listener, edge):
        reader, writer, _head = await raw(listener)
        await until(edge, "opened")
        edge.connections[0].close(4000, "")
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        async with asyncio.timeout(5):
            await listener.emptied.wait()
        writer.close()


async def test_a_client_that_stops_reading_is_noticed_then_cut_and_its_memory_freed() -> None:
    async with listening(stall_seconds_max=0.1, close_timeout_seconds=0.1) as (listener, edge):
        _reader, writer, _head = await raw(listener)
        peer: socket.socket = writer.get_extra_info("socket")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert peer.fileno() >= 0
        await until(edge, "opened")
        connection = edge.connections[0]
        async with asyncio.timeout(10):
            while "paused" not in edge.events:
                connection.send(b"x" * 60_000)
                await asyncio.sleep(0)
            await listener.emptied.wait()
        assert edge.events == ["opened", "paused", "closed"]
        writer.transport.abort()


async def test_a_client_that_reads_again_in_time_stays() -> None:
    async with listening(stall_seconds_max=30) as (listener, edge):
        _reader, writer, _head = await raw(listener)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(edge, "opened")
        connection = edge.connections[0]
        async with asyncio.timeout(10):
            while "paused" not in edge.events:
                connection.send(b"x" * 60_000)
                await asyncio.sleep(0)
            waiting = asyncio.create_task(connection.writable())
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            reading = asyncio.create_task(_reader.read(-1))
            assert await waiting
        assert "resumed" in edge.events
        assert connection.is_open
        writer.transport.abort()
        with contextlib.suppress(ConnectionResetError):
            await reading


async def test_a_listener_that_closes_tells_everyone_to_come_back() -> None:
    async with listening() as (listener, edge):
        async with client(listener) as ws:
            await until(edge, "opened")
            closing = asyncio.create_task(listener.close())
            assert await close_code(ws) == 1012
            await closing
        assert not listener.connections
