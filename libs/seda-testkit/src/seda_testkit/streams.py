"""An answer that goes on, read piece by piece: httpx's ASGI transport would wait for its end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from seda_testkit.app import AsgiApp, Message

OK = 200


class OpenAnswer:
    """What the application has sent so far, for as long as it is read."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_ended = False
        self._reads = asyncio.Event()
        self._reads.set()
        self._started = asyncio.Event()

    def stop_reading(self) -> None:
        """From now on the application's next piece is not taken."""
        self._reads.clear()

    def go_on_reading(self) -> None:
        self._reads.set()

    async def started(self) -> None:
        await self._started.wait()

    async def take(self, message: Message) -> None:
        """What the application calls to send."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {n.decode(): v.decode() for n, v in message["headers"]}
            self._started.set()
            return
        await self._reads.wait()
        self.body += message.get("body", b"")
        self.has_ended = not message.get("more_body", False)


@asynccontextmanager
async def open_answer(
    app: AsgiApp,
    path: str,
    *,
    query: list[tuple[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[OpenAnswer]:
    """GET `path`; a refusal is read whole. Leaving the block hangs up and waits until the
    application has noticed.
    """
    answer, gone = OpenAnswer(), asyncio.Event()
    request = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if request:
            return request.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    pairs = [(n.lower().encode(), v.encode()) for n, v in (headers or {}).items()]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query or []).encode(),
        "headers": [(b"host", b"test"), *pairs],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
    }
    serving = asyncio.ensure_future(app(scope, receive, answer.take))
    starting = asyncio.ensure_future(answer.started())
    try:
        await asyncio.wait({serving, starting}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if answer.status != OK:
            await asyncio.wait({serving}, timeout=10)
        yield answer
    finally:
        starting.cancel()
        gone.set()
        answer.go_on_reading()
        async with asyncio.timeout(10):
            await serving
