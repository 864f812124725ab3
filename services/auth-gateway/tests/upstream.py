"""A real HTTP/1.1 server on loopback in the place of a service, obeying the test to the byte."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Behaviour = Callable[["Exchange"], Awaitable[None]]
DEFAULT_ANSWER = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'
)


@dataclass
class Exchange:
    """One request as it arrived, and the connection it arrived on."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    async def part(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(await self.reader.readline(), 16)
        chunk = await self.reader.readexactly(size + 2)
        return chunk[:-2]

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()


async def answer_ok(exchange: Exchange) -> None:
    await exchange.send(DEFAULT_ANSWER)


@dataclass
class Upstream:
    """`upstream.behaviour` answers each request; `upstream.seen` holds what arrived."""

    behaviour: Behaviour = answer_ok
    reads_body: bool = True
    seen: list[Exchange] = field(default_factory=list)
    connections: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop_listening(self) -> None:
        self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                exchange = await self._read(reader, writer)
                self.seen.append(exchange)
                await self.behaviour(exchange)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway hung up
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = request.split(" ")
        pairs = (line.partition(": ") for line in lines)
        headers = [(name, value) for name, _, value in pairs]
        exchange = Exchange(method, target, headers, reader, writer)
        length = exchange.header("content-length")
        if self.reads_body and length is not None:
            exchange.body = await reader.readexactly(int(length))
        return exchange
