"""The opening handshake, byte by byte: what opens a socket, and how everything else is answered."""

import asyncio
import contextlib
from typing import Any

import pytest

PATH = "/api/v1/realtime"
FIELDS = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(*more: str, line: str = f"GET {PATH} HTTP/1.1", without: str = "") -> bytes:
    """A good handshake with its request line or fields changed, fewer or more."""
    fields = {name: value for name, value in FIELDS.items() if name != without}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items()), *more]
    return "\r\n".join([*lines, "", ""]).encode()


KEY, VERSION = "Sec-WebSocket-Key", "Sec-WebSocket-Version"


def status(head: bytes) -> int:
    return int(head.split()[1])


@pytest.mark.parametrize(
    "more",
    [
        ("Connection: keep-alive",),
        ("Connection: keep-alive, upgrade", "connection: close"),
        ("Cookie: a=b", "Origin: https://seda.example"),
        ("Content-Length: 0",),
    ],
)
async def test_a_request_with_several_connection_fields_and_known_extras_opens_a_socket(
    listening: Any, raw: Any, more: tuple[str, ...]
) -> None:
    async with listening() as (listener, edge):
        _reader, _writer, head = await raw(listener, request=request(*more))
        assert status(head) == 101
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        await edge.heard("opened")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (request(line="GET /elsewhere HTTP/1.1"), 404),
        (request(line=f"GET {PATH}?token=secret HTTP/1.1"), 400),
        (request(line=f"POST {PATH} HTTP/1.1"), 405),
        (request(line=f"GET {PATH} HTTP/1.0"), 505),
        (request("Cookie: __Host-seda_at=victim"), 403),
        (request("Origin: https://evil.example"), 403),
        (request("Origin: https://seda.example", "Origin: https://seda.example"), 400),
        (request("Sec-WebSocket-Protocol: chat"), 400),
        (request(without="Connection"), 426),
        (request("Connection: keep-alive", without="Connection"), 426),
        (request(without="Upgrade"), 426),
        (request("Upgrade: websocket"), 426),
        (request("Upgrade: h2c, websocket", without="Upgrade"), 426),
        (request(without=KEY), 400),
        (request(f"{KEY}: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (request(f"{KEY}: {'A' * 20}", without=KEY), 400),
        (request(f"{KEY}: {'A' * 24}", without=KEY), 400),
        (request(f"{KEY}: not base64 at all!!!!", without=KEY), 400),
        (request(line=f"GET {PATH}{'x' * 8192} HTTP/1.1"), 414),
        (request(f"X-Long: {'x' * 8192}"), 431),
        (request(*(f"X-{place}: 1" for place in range(130))), 431),
    ],
)
async def test_attack_096_and_097_a_wrong_request_is_answered_once_and_closed(
    listening: Any, raw: Any, data: bytes, code: int
) -> None:
    async with listening() as (listener, edge):
        reader, _writer, head = await raw(listener, request=data)
        assert status(head) == code
        assert b"HTTP/1.1" not in await asyncio.wait_for(reader.read(), 5)
        assert edge.events == []


@pytest.mark.parametrize(
    "data",
    [
        request(without=VERSION),
        request(f"{VERSION}: 8", without=VERSION),
        request(f"{VERSION}: 13, 8", without=VERSION),
        request(f"{VERSION}: 13"),
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    ],
)
async def test_any_version_but_13_is_answered_with_the_one_that_is_spoken(
    listening: Any, raw: Any, data: bytes
) -> None:
    async with listening() as (listener, edge):
        _reader, _writer, head = await raw(listener, request=data)
        assert status(head) == 426
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in head
        assert b"\r\nUpgrade: websocket\r\n" in head
        assert edge.events == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        request("no colon"),
        request("Bad Name: x"),
        request("X: \x00"),
        request().replace(b"\r\n", b"\n"),
        request("Transfer-Encoding: chunked"),
        request("Content-Length: 5"),
    ],
)
async def test_what_is_no_request_is_closed_without_an_answer(listening: Any, data: bytes) -> None:
    async with listening() as (listener, edge):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(data)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await listener.empty(within_seconds=5)
        assert not listener.connections
        assert edge.events == []


async def test_a_request_that_comes_byte_by_byte_in_time_opens_a_socket(
    listening: Any,
) -> None:
    async with listening() as (listener, _edge):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.transport.get_extra_info("socket").setsockopt(6, 1, 1)  # TCP_NODELAY
        for byte in request():
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert status(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)) == 101
        writer.close()


@pytest.mark.parametrize("start", [b"", b"GET / HT", request()[:-2] + b"X-Slow: "])
async def test_a_request_that_drips_is_cut_at_the_deadline_however_busy_it_looks(
    listening: Any, start: bytes
) -> None:
    async with listening(handshake_timeout_seconds=0.1) as (listener, edge):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(start)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"x" if start else b"")
                    with contextlib.suppress(TimeoutError):
                        assert await asyncio.wait_for(reader.read(1), 0.01) == b""
            await listener.emptied.wait()
        writer.close()
        assert edge.events == []


async def test_a_frame_sent_along_with_the_request_is_heard_once_the_socket_is_open(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        data = request() + b"\x81\x82\0\0\0\0hi" + b"\x88\x80\0\0\0\0"
        reader, _writer, head = await raw(listener, request=data)
        assert status(head) == 101
        assert await asyncio.wait_for(reader.read(), 5) == b"\x81\x02hi\x88\x00"
        assert edge.messages == [b"hi"]


async def test_a_broken_frame_sent_along_with_the_request_comes_after_its_answer(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, _edge):
        reader, _writer, head = await raw(listener, request=request() + b"\x81\x02hi")
        assert status(head) == 101
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"\x88")
        assert int.from_bytes(answer[2:4], "big") == 1002


@pytest.mark.parametrize("more", [request(), b"\x81\x02hi", b"\x88\x80\0\0\0\0", b"x" * 200_000])
async def test_nothing_after_a_refused_request_is_answered(
    listening: Any, raw: Any, more: bytes
) -> None:
    async with listening() as (listener, edge):
        refused = request(line="GET /elsewhere HTTP/1.1")
        reader, _writer, head = await raw(listener, request=refused + more)
        assert status(head) == 404
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b"Not found.\n"
        assert edge.events == []


async def test_a_client_of_another_version_is_told_by_a_close_code(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        data = request("Sec-WebSocket-Protocol: seda.v9.json")
        reader, _writer, head = await raw(listener, request=data)
        assert status(head) == 101
        assert b"Sec-WebSocket-Protocol: seda.v9.json" in head
        frame = await asyncio.wait_for(reader.readexactly(4), 5)
        assert (frame[0], frame[2:]) == (0x88, (4502).to_bytes(2, "big"))
        assert edge.events == []


async def test_a_client_that_offers_our_version_among_others_gets_it(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        data = request("Sec-WebSocket-Protocol: seda.v9.json, seda.v1.json")
        _reader, _writer, head = await raw(listener, request=data)
        assert b"Sec-WebSocket-Protocol: seda.v1.json" in head
        await edge.heard("opened")


async def test_a_handshake_while_too_many_come_in_is_told_when_to_try_again(
    listening: Any, raw: Any
) -> None:
    async with listening() as (listener, edge):
        listener.is_busy = lambda: True
        _reader, _writer, head = await raw(listener, request=request())
        assert status(head) == 503
        assert b"Retry-After: 1" in head
        assert edge.events == []
        listener.is_busy = lambda: False
        _reader, _writer, head = await raw(listener, request=request())
        assert status(head) == 101
