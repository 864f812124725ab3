"""The port against a real client library, and how a connection lives and ends."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from chat_realtime.live.listener import KERNEL_SEND_BUFFER_BYTES, Listener
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

PATH = "/api/v1/realtime"


def client(listener: Listener, **more: Any) -> Any:
    options = {"subprotocols": [Subprotocol("seda.v1.json")], "compression": None, **more}
    path = options.pop("path", PATH)
    return connect(f"ws://127.0.0.1:{listener.port}{path}", **options)


async def close_code(ws: ClientConnection) -> int:
    await asyncio.wait_for(ws.wait_closed(), 5)
    assert ws.close_code is not None
    return ws.close_code


async def test_a_text_comes_back_with_its_subprotocol(listening: Any) -> None:
    async with listening() as (listener, _edge), client(listener) as ws:
        assert ws.subprotocol == "seda.v1.json"
        await ws.send("grüße")
        assert await ws.recv() == "grüße"


async def test_a_client_library_that_fragments_is_understood(listening: Any) -> None:
    async with listening() as (listener, _edge), client(listener) as ws:
        await ws.send(["a", "b", "c"])
        assert await ws.recv() == "abc"


async def test_the_largest_allowed_message_passes(listening: Any) -> None:
    async with listening() as (listener, _edge), client(listener) as ws:
        await ws.send("x" * 16_384)
        assert await ws.recv() == "x" * 16_384


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://seda.example.evil"])
async def test_attack_096_a_foreign_origin_is_refused_before_the_upgrade(
    listening: Any, origin: str
) -> None:
    async with listening() as (listener, edge):
        with pytest.raises(InvalidStatus) as refusal:
            await client(listener, origin=Origin(origin))
        assert refusal.value.response.status_code == 403
        assert edge.events == []


async def test_our_own_origin_is_welcome(listening: Any) -> None:
    async with (
        listening() as (listener, _edge),
        client(listener, origin=Origin("https://seda.example")) as ws,
    ):
        await ws.send("hi")
        assert await ws.recv() == "hi"


async def test_a_close_frame_reaches_the_client_with_its_code(listening: Any) -> None:
    async with listening() as (listener, edge), client(listener) as ws:
        await edge.heard("opened")
        edge.connections[0].close(4012, "drained")
        assert await close_code(ws) == 4012
        assert ws.close_reason == "drained"


async def test_nothing_is_sent_after_a_close_frame(listening: Any) -> None:
    async with listening() as (listener, edge), client(listener) as ws:
        await edge.heard("opened")
        connection = edge.connections[0]
        connection.close(4000, "")
        connection.send(b"late")
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert edge.events == ["opened", "closed"]


async def test_a_client_that_does_not_answer_a_close_is_cut_at_the_deadline(
    listening: Any, raw: Any
) -> None:
    async with listening(close_timeout_seconds=0.05) as (listener, edge):
        reader, writer, _head = await raw(listener)
        await edge.heard("opened")
        edge.connections[0].close(4000, "")
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        async with asyncio.timeout(5):
            await listener.emptied.wait()
        writer.close()


async def test_attack_101_a_client_that_stops_reading_is_noticed_then_cut_and_its_memory_freed(
    listening: Any, raw: Any
) -> None:
    async with listening(stall_seconds_max=0.1, close_timeout_seconds=0.1) as (listener, edge):
        _reader, writer, _head = await raw(listener)
        peer: socket.socket = writer.get_extra_info("socket")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert peer.fileno() >= 0
        await edge.heard("opened")
        connection = edge.connections[0]
        async with asyncio.timeout(10):
            while "paused" not in edge.events:
                connection.send(b"x" * 60_000)
                await asyncio.sleep(0)
            await listener.emptied.wait()
        assert edge.events == ["opened", "paused", "closed"]
        writer.transport.abort()


async def test_the_kernel_hides_no_more_of_a_stalled_reader_than_is_set(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        await raw(listener)
        await edge.heard("opened")
        ours: socket.socket = edge.connections[0]._transport.get_extra_info("socket")
        # Linux counts its own overhead in and says the double.
        given = ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert KERNEL_SEND_BUFFER_BYTES <= given <= 2 * KERNEL_SEND_BUFFER_BYTES


async def test_a_client_that_reads_again_in_time_stays(listening: Any, raw: Any) -> None:
    async with listening(stall_seconds_max=30) as (listener, edge):
        _reader, writer, _head = await raw(listener)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await edge.heard("opened")
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


async def test_a_listener_that_closes_tells_everyone_to_come_back(listening: Any) -> None:
    async with listening() as (listener, edge):
        async with client(listener) as ws:
            await edge.heard("opened")
            closing = asyncio.create_task(listener.close())
            assert await close_code(ws) == 1012
            await closing
        assert not listener.connections
