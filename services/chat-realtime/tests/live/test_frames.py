"""Frames, byte by byte: what is a message, what ends a connection and with which code.

`make autobahn` asks more of this than fits here; these are the answers we rely on.
"""

import asyncio
import socket
import struct
import tracemalloc
from typing import Any

import pytest


def masked(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A client's frame. Its mask is zero, so the payload stands there as it is."""
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return head + length + b"\0\0\0\0" + payload


def text(payload: bytes, *, fin: bool = True) -> bytes:
    return masked(1, payload, fin=fin)


def more(payload: bytes, *, fin: bool = True) -> bytes:
    return masked(0, payload, fin=fin)


def close(code: int, reason: bytes = b"") -> bytes:
    return masked(8, struct.pack("!H", code) + reason)


def code_of(close_frame: bytes) -> int:
    assert close_frame[0] == 0x88
    return int.from_bytes(close_frame[2:4], "big")


PING, PONG_BACK = masked(9, b"?"), b"\x8a\x01?"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (text(b""), b"\x81\x00"),
        (text(b"one ", fin=False) + more(b"two"), b"\x81\x07one two"),
        (text(b"", fin=False) + more(b"", fin=False) + more(b""), b"\x81\x00"),
        # The pong first: its ping came before the message was whole (Autobahn 5.6, 5.19, 5.20).
        (text(b"one ", fin=False) + PING + more(b"two"), PONG_BACK + b"\x81\x07one two"),
        (text(b"a") + PING + text(b"b"), b"\x81\x01a" + PONG_BACK + b"\x81\x01b"),
        (masked(10, b"nobody asked") + text(b"a"), b"\x81\x01a"),
        # A character may be cut anywhere.
        (
            text(b"\xe2", fin=False) + more(b"\x82", fin=False) + more(b"\xac"),
            b"\x81\x03\xe2\x82\xac",
        ),
        (masked(2, b"\xff\x00"), b"\x82\x02\xff\x00"),
        (masked(2, b"\xff", fin=False) + more(b"\xfe"), b"\x82\x02\xff\xfe"),
    ],
)
async def test_frames_become_messages_and_are_answered_in_order(
    listening: Any, raw: Any, data: bytes, answer: bytes
) -> None:
    async with listening() as (listener, _edge):
        reader, writer, _head = await raw(listener)
        writer.write(data)
        assert await asyncio.wait_for(reader.readexactly(len(answer)), 5) == answer


@pytest.mark.parametrize("data", [text(b"abc"), text(b"a", fin=False) + PING + more(b"bc")])
async def test_frames_that_come_byte_by_byte_are_the_same_message(
    listening: Any, raw: Any, data: bytes
) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await asyncio.wait_for(reader.readuntil(b"\x81\x03abc"), 5)
        assert edge.messages == [b"abc"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        # Reserved bits and opcodes.
        *((masked(1, b"x", rsv=rsv), 1002) for rsv in (0x40, 0x20, 0x10)),
        (masked(9, b"", rsv=0x40), 1002),
        *((masked(opcode, b""), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        # Not masked.
        (b"\x81\x01x", 1002),
        (b"\x89\x00", 1002),
        (b"\x88\x02\x03\xe8", 1002),
        # Fragments out of order.
        (more(b"no beginning"), 1002),
        (more(b"no beginning", fin=False), 1002),
        (text(b"a", fin=False) + text(b"b"), 1002),
        (text(b"a", fin=False) + masked(2, b"b"), 1002),
        # Control frames are short and whole.
        (masked(9, b"x" * 126), 1002),
        (masked(8, b"\x03\xe8" + b"x" * 124), 1002),
        (masked(9, b"x", fin=False), 1002),
        (masked(8, b"\x03\xe8", fin=False), 1002),
        # Not UTF-8: a bad byte, cut short, overlong, a surrogate, past the last code point.
        (text(b"\xff\xfe"), 1007),
        (text(b"\xe2\x82"), 1007),
        (text(b"\xc0\xaf"), 1007),
        (text(b"\xed\xa0\x80"), 1007),
        (text(b"\xf4\x90\x80\x80"), 1007),
        (text(b"\xc3", fin=False) + more(b"\x28"), 1007),
        (text(b"\xe2\x82", fin=False) + more(b""), 1007),
        # At once, though the message has more to come.
        (text(b"\xff", fin=False), 1007),
        (text(b"fine", fin=False) + more(b"\xff", fin=False), 1007),
        # Too large: whole, together, empty at the end of the room, announced and never sent.
        (text(b"x" * 16_385), 1009),
        (text(b"x" * 9_000, fin=False) + more(b"x" * 9_000), 1009),
        (text(b"x" * 16_384, fin=False) + more(b"x"), 1009),
        (b"\x81\xff" + struct.pack("!Q", 2**40), 1009),
        (b"\x82\xfe" + struct.pack("!H", 65_535), 1009),
    ],
)
async def test_a_broken_frame_ends_with_its_code_and_is_not_heard(
    listening: Any, raw: Any, data: bytes, code: int
) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.write(data)
        assert code_of(await asyncio.wait_for(reader.read(), 5)) == code
        assert edge.messages == []
        assert edge.events == ["opened", "closed"]


async def test_what_came_before_a_broken_frame_is_answered_and_what_comes_after_is_not(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.write(text(b"a") + PING + masked(1, b"b", rsv=0x40) + text(b"c"))
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"\x81\x01a" + PONG_BACK)
        assert code_of(answer[6:]) == 1002
        assert edge.messages == [b"a"]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4999])
async def test_a_close_frame_is_answered_with_its_code(listening: Any, raw: Any, code: int) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.write(close(code, b"bye") + text(b"after the end"))
        assert code_of(await asyncio.wait_for(reader.read(), 5)) == code
        assert edge.events == ["opened", "closed"]
        assert edge.messages == []


async def test_a_close_frame_without_a_code_is_answered_without_one(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, _edge):
        reader, writer, _head = await raw(listener)
        writer.write(masked(8, b""))
        assert await asyncio.wait_for(reader.read(), 5) == b"\x88\x00"


async def test_a_close_frame_between_fragments_is_answered_with_its_code(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.write(text(b"one ", fin=False) + close(1000) + more(b"two"))
        # Autobahn 7.1.5; RFC 6455, 5.4: control frames may stand in the middle of a message.
        assert await asyncio.wait_for(reader.read(), 5) == b"\x88\x02\x03\xe8"
        assert edge.messages == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        *((close(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)),
        *((close(code), 1002) for code in (5000, 65_535)),
        (masked(8, b"\x03"), 1002),
        (close(1000, b"\xff"), 1007),
        (close(1000, b"x" * 124), 1002),
    ],
)
async def test_a_close_frame_that_may_not_be_sent_is_a_broken_frame(
    listening: Any, raw: Any, data: bytes, code: int
) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.write(data)
        assert code_of(await asyncio.wait_for(reader.read(), 5)) == code
        assert edge.events == ["opened", "closed"]


async def test_fragments_without_content_and_end_cost_no_memory(listening: Any, raw: Any) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        writer.write(text(b"a", fin=False))
        empty, rounds = more(b"", fin=False) * 2_000, 30
        tracemalloc.start()
        try:
            for _ in range(rounds):
                writer.write(empty + PING)
                await asyncio.wait_for(reader.readexactly(len(PONG_BACK)), 5)
            held, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # A list of them would hold eight bytes each.
        assert held < 2_000 * rounds * 4
        writer.write(more(b"b"))
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"\x81\x02ab"
        assert edge.messages == [b"ab"]


async def test_a_client_that_asks_and_never_reads_is_not_heard_and_then_cut(
    listening: Any, raw: Any
) -> None:
    options = {"stall_seconds_max": 0.2, "close_timeout_seconds": 0.1}
    async with listening(**options) as (listener, edge):
        _reader, writer, _head = await raw(listener)
        writer.transport.pause_reading()
        flood = text(b"x" * 16_000) * 16
        async with asyncio.timeout(10):
            while "paused" not in edge.events:
                writer.write(flood)
                await asyncio.sleep(0)
            heard = len(edge.messages)
            while "closed" not in edge.events:
                if writer.transport.get_write_buffer_size() < len(flood):
                    writer.write(flood)
                await asyncio.sleep(0)
            await listener.emptied.wait()
        # What was read of the socket before the pause is all that could be answered.
        assert (len(edge.messages) - heard) * 16_000 <= len(flood)


async def test_pings_of_a_client_that_never_reads_pile_up_no_pongs_while_it_is_being_closed(
    listening: Any, raw: Any
) -> None:
    options = {"stall_seconds_max": 0.05, "close_timeout_seconds": 0.3}
    async with listening(**options) as (listener, edge):
        _reader, writer, _head = await raw(listener)
        writer.transport.pause_reading()
        await edge.heard("opened")
        connection = edge.connections[0]
        while "paused" not in edge.events:
            connection.send(b"x" * 60_000)
        buffered = connection.write.__self__.get_write_buffer_size
        most, flood = buffered(), masked(9, b"?" * 125) * 500
        async with asyncio.timeout(10):
            while listener.connections:
                if writer.transport.get_write_buffer_size() < len(flood):
                    writer.write(flood)
                most = max(most, buffered())
                await asyncio.sleep(0)
        assert edge.events == ["opened", "paused", "closed"]
        assert most < 400_000


async def test_an_edge_that_fails_ends_its_connection_and_no_other(
    listening: Any, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        other_reader, other_writer, _head = await raw(listener)
        with monkeypatch.context() as broken:
            broken.delattr(type(edge), "received")
            writer.write(text(b"a"))
            assert code_of(await asyncio.wait_for(reader.read(), 5)) == 1011
        other_writer.write(text(b"b"))
        assert await asyncio.wait_for(other_reader.readexactly(3), 5) == b"\x81\x01b"


async def test_a_client_that_closes_its_half_is_let_go(listening: Any, raw: Any) -> None:
    async with listening() as (listener, edge):
        reader, writer, _head = await raw(listener)
        await edge.heard("opened")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await listener.empty(within_seconds=5)
        assert not listener.connections
        assert edge.events == ["opened", "closed"]
