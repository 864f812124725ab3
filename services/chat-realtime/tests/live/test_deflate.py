"""permessage-deflate: agreed on only when switched on, each message by itself, and bounded."""

import asyncio
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from chat_realtime.live.framing import deflated_frame
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
PATH = "/api/v1/realtime"


def masked(first: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([first]) + length + b"\0\0\0\0" + payload


def squeezed(payload: bytes) -> bytes:
    deflate = zlib.compressobj(9, wbits=-15)
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def code_of(close_frame: bytes) -> int:
    assert close_frame[0] == 0x88
    return int.from_bytes(close_frame[2:4], "big")


async def test_compression_is_not_agreed_on_unless_it_is_switched_on(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        reader, writer, head = await raw(listener, more=OFFER)
        assert b"permessage-deflate" not in head
        assert not edge.connections[0].deflates
        writer.write(masked(0xC1, squeezed(b"x")))
        assert code_of(await asyncio.wait_for(reader.read(), 5)) == 1002


async def test_no_side_keeps_a_context_between_messages(listening: Any, raw: Any) -> None:
    async with listening(deflate=True) as (listener, edge):
        _reader, writer, head = await raw(listener, more=OFFER)
        assert b"server_no_context_takeover" in head
        assert b"client_no_context_takeover" in head
        for _ in range(2):
            writer.write(masked(0xC1, squeezed(b"hello hello hello")))
        writer.write(masked(0x81, b"plain"))
        await asyncio.wait_for(_reader.readuntil(b"plain"), 5)
        assert edge.messages == [b"hello hello hello"] * 2 + [b"plain"]


NO_CONTEXT = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ("permessage-deflate", NO_CONTEXT),
        ("permessage-deflate; client_max_window_bits", NO_CONTEXT),
        ("permessage-deflate; client_max_window_bits=8", f"{NO_CONTEXT}; client_max_window_bits=8"),
        ("permessage-deflate; server_no_context_takeover", NO_CONTEXT),
        ("permessage-deflate; server_max_window_bits=9", f"{NO_CONTEXT}; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", NO_CONTEXT),
        ("permessage-deflate; window=9", None),
        ("x-webkit-deflate-frame", None),
    ],
)
async def test_an_offer_is_taken_when_one_compression_for_all_keeps_to_it(
    listening: Any, raw: Any, offered: str, taken: str | None
) -> None:
    async with listening(deflate=True) as (listener, edge):
        offer = f"Sec-WebSocket-Extensions: {offered}\r\n"
        reader, writer, head = await raw(listener, more=offer)
        lines = head.decode().splitlines()
        answer = [line for line in lines if line.lower().startswith("sec-websocket-extensions")]
        assert answer == ([] if taken is None else [f"Sec-WebSocket-Extensions: {taken}"])
        assert edge.connections[0].deflates == (taken is not None)
        writer.write(masked(0x81, b"plain"))
        await asyncio.wait_for(reader.readuntil(b"plain"), 5)


async def test_a_client_without_the_extension_is_served_beside_one_that_has_it(
    listening: Any,
) -> None:
    async with listening(deflate=True) as (listener, edge):
        url = f"ws://127.0.0.1:{listener.port}{PATH}"
        async with connect(url, compression=None) as plain, connect(url) as squeezing:
            await asyncio.gather(plain.send("a" * 200), squeezing.send("b" * 200))
            assert await asyncio.wait_for(plain.recv(), 5) == "a" * 200
            assert await asyncio.wait_for(squeezing.recv(), 5) == "b" * 200
            assert sorted(each.deflates for each in edge.connections) == [False, True]
            (agreed,) = (each for each in edge.connections if each.deflates)
            # Prepared once and elsewhere, as for a whole room; longer than the window too.
            for text in ("", "c", "ü" * 40_000):
                agreed.write(deflated_frame(text.encode()))
                assert await asyncio.wait_for(squeezing.recv(), 5) == text


async def test_a_client_with_the_smallest_window_reads_the_same_frames(listening: Any) -> None:
    async with listening(deflate=True) as (listener, edge):
        url = f"ws://127.0.0.1:{listener.port}{PATH}"
        smallest = ClientPerMessageDeflateFactory(server_max_window_bits=9)
        async with connect(url, extensions=[smallest], compression=None) as client:
            await client.send("so that it is open")
            await asyncio.wait_for(client.recv(), 5)
            text = "".join(str(number) for number in range(2_000)) * 2
            edge.connections[0].write(deflated_frame(text.encode()))
            assert await asyncio.wait_for(client.recv(), 5) == text


async def test_attack_098_a_compressed_bomb_is_too_large_and_costs_no_memory(
    listening: Any, raw: Any
) -> None:
    bomb = squeezed(b"x" * 10_000_000)
    assert len(bomb) < 16_384
    async with listening(deflate=True) as (listener, edge):
        reader, writer, _head = await raw(listener, more=OFFER)
        tracemalloc.start()
        try:
            writer.write(masked(0xC1, bomb))
            answer = await asyncio.wait_for(reader.read(), 5)
            _held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert code_of(answer) == 1009
        assert peak < 1_000_000
        assert edge.messages == []


async def test_a_bomb_in_fragments_is_too_large_as_well(listening: Any, raw: Any) -> None:
    bomb = squeezed(b"x" * 10_000_000)
    async with listening(deflate=True) as (listener, edge):
        reader, writer, _head = await raw(listener, more=OFFER)
        writer.write(masked(0x41, bomb[:5]) + masked(0x00, bomb[5:100]) + masked(0x80, bomb[100:]))
        assert code_of(await asyncio.wait_for(reader.read(), 5)) == 1009
        assert edge.messages == []


async def test_what_is_no_deflate_stream_is_a_broken_frame(listening: Any, raw: Any) -> None:
    async with listening(deflate=True) as (listener, edge):
        reader, writer, _head = await raw(listener, more=OFFER)
        writer.write(masked(0xC1, b"\xff\xff\xff\xff"))
        assert code_of(await asyncio.wait_for(reader.read(), 5)) == 1002
        assert edge.messages == []
