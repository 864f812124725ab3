"""A hostile web server, a name service that changes its mind, and a fetcher between them."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpcore
import pytest
from seda_fetch import Fetcher, FetchLimits
from seda_fetch.dialling import dial_tcp

PUBLIC_ADDRESS = "93.184.216.34"
HOST = "hostile.example"
DRIP_SECONDS = 0.02

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def raw(data: bytes) -> Behaviour:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return send


def redirect(*locations: str) -> Behaviour:
    return raw(answer(b"", *(f"Location: {x}" for x in locations), status="302 Found"))


def forever(opening: bytes, piece: bytes, *, pause_seconds: float = 0) -> Behaviour:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(opening)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return send


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


BOMB = gzip.compress(bytes(64 << 20), compresslevel=9)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

BEHAVIOURS: dict[str, Behaviour] = {
    "/plain": raw(answer(b"hello", "Content-Type: text/html; charset=utf-8")),
    "/missing": raw(answer(b"no", status="404 Not Found")),
    "/limited": raw(answer(b"", "Retry-After: 99999999999", status="429 Too Many Requests")),
    "/no-type": raw(answer(b"hello")),
    "/wrong-type": raw(answer(b"\x89PNG", "Content-Type: text/html")),
    "/replace": raw(
        answer(b"--x\r\n\r\nhello\r\n--x--", "Content-Type: multipart/x-mixed-replace; boundary=x")
    ),
    "/gzip": raw(answer(gzip.compress(b"hello"), "Content-Encoding: gzip")),
    "/deflate": raw(answer(zlib.compress(b"hello"), "Content-Encoding: deflate")),
    "/raw-deflate": raw(answer(raw_deflate(b"hello"), "Content-Encoding: deflate")),
    "/gzip-bomb": raw(answer(BOMB, "Content-Encoding: gzip")),
    "/double-gzip": raw(answer(gzip.compress(gzip.compress(b"x")), "Content-Encoding: gzip, gzip")),
    "/brotli": raw(answer(b"\x0b\x02\x80hello\x03", "Content-Encoding: br")),
    "/broken-gzip": raw(answer(b"\x1f\x8b\x08nonsense", "Content-Encoding: gzip")),
    "/half-gzip": raw(
        answer(gzip.compress(bytes(range(256)) * 40)[:-20], "Content-Encoding: gzip")
    ),
    "/length-too-long": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello"),
    "/length-too-short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more"),
    "/length-twice": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
    ),
    "/length-and-chunked": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    ),
    "/endless-chunks": forever(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"),
    "/tiny-chunks": forever(CHUNKED, b"1\r\nx\r\n" * 1000),
    "/chunk-extensions": forever(CHUNKED, b"1;" + b"e" * 8000 + b"\r\nx\r\n"),
    "/interim": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400),
    "/endless-body": forever(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)),
    "/drip-body": forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause_seconds=DRIP_SECONDS),
    "/drip-headers": forever(b"HTTP/1.1 200 OK\r\n", b"X", pause_seconds=DRIP_SECONDS),
    "/silent": silence,
    "/hang-up": raw(b""),
    "/not-http": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "/endless-headers": forever(b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"f" * 1000 + b"\r\n"),
    "/many-headers": raw(answer(b"", *(f"X-{n}: {'f' * 40}" for n in range(1_500)))),
    "/to-private": redirect("http://10.0.0.1/"),
    "/to-metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "/to-scheme-relative": redirect("//127.0.0.1/"),
    "/to-backslash": redirect("/\\127.0.0.1/"),
    "/to-file": redirect("file:///etc/passwd"),
    "/to-port": redirect("http://hostile.example:6379/"),
    "/to-userinfo": redirect("http://a:b@hostile.example/"),
    "/to-private-name": redirect("http://moved-inside.example/"),
    "/to-nowhere": raw(answer(b"", status="302 Found")),
    "/to-two-places": redirect("/plain", "http://10.0.0.1/"),
    "/to-a-megabyte": redirect("/" + "a" * (1 << 20)),
    "/loop": redirect("/loop"),
    "/hop5": redirect("http://10.0.0.1/"),
    "/chain5": redirect("/plain"),
    "/relative": redirect("plain?x=1"),
    "/elsewhere": redirect("http://other.example/headers"),
    "/set-cookie": raw(answer(b"", "Set-Cookie: a=b; Path=/")),
    "/meta-refresh": raw(answer(b'<meta http-equiv="refresh" content="0;url=http://10.0.0.1/">')),
}
for _number in range(1, 5):
    BEHAVIOURS[f"/hop{_number}"] = redirect(f"/hop{_number + 1}")
    BEHAVIOURS[f"/chain{_number}"] = redirect(f"/chain{_number + 1}")


@dataclass
class HostileServer:
    """One behaviour per path; remembers every request head it saw."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    open_connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            path = head.split(" ", 2)[1].split("?")[0]
            await BEHAVIOURS.get(path, raw(answer(head.encode(), "Content-Type: text/plain")))(
                writer
            )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()


@pytest.fixture
async def hostile() -> AsyncIterator[HostileServer]:
    server = HostileServer()
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve(reader, writer)
        connections.discard(task)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    for task in tuple(connections):
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    listener.close()


@dataclass
class FakeNames:
    """A name service whose answers may change with every question."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    async def __call__(self, host: str) -> list[str]:
        self.questions.append(host)
        answers = self.answers.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class Dialled:
    """Records the address asked for, then connects to the hostile server instead."""

    port: int
    addresses: list[str] = field(default_factory=list)
    dead: frozenset[str] = frozenset()

    async def __call__(self, address: str, port: int) -> httpcore.AsyncNetworkStream:
        self.addresses.append(address)
        if address in self.dead:
            raise httpcore.ConnectError("dead")
        return await dial_tcp("127.0.0.1", self.port)


@pytest.fixture
def names() -> FakeNames:
    return FakeNames({HOST: [[PUBLIC_ADDRESS]], "other.example": [[PUBLIC_ADDRESS]]})


@pytest.fixture
def dialled(hostile: HostileServer) -> Dialled:
    return Dialled(hostile.port)


@pytest.fixture
async def fetcher(names: FakeNames, dialled: Dialled) -> AsyncIterator[Fetcher]:
    limits = FetchLimits(deadline_seconds=10)
    async with Fetcher("SedaBot/1.0", limits, resolve=names, dial=dialled) as fetcher:
        yield fetcher
