"""Run an ASGI application inside the test's own loop, with its lifespan, without a socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

Message = MutableMapping[str, Any]
AsgiApp = Callable[..., Awaitable[None]]


class StartFailed(Exception):
    """The application refused to start."""


@asynccontextmanager
async def running(
    app: AsgiApp, *, base_url: str = "http://test", stop_seconds_max: float = 20.0
) -> AsyncIterator[httpx.AsyncClient]:
    """An httpx client bound to `app`, between its start-up and its shutdown.

    Start-up and shutdown happen in one task, as under a real server: cancel scopes opened by a
    lifespan must be closed by the task that opened them, and a fixture's two halves may not be.
    """
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    lifespan = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    try:
        await to_app.put({"type": "lifespan.startup"})
        await _answer(lifespan, from_app, "lifespan.startup.complete")
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client
        await to_app.put({"type": "lifespan.shutdown"})
        async with asyncio.timeout(stop_seconds_max):
            await _answer(lifespan, from_app, "lifespan.shutdown.complete")
            await lifespan
    finally:
        lifespan.cancel()
        await asyncio.gather(lifespan, return_exceptions=True)


async def _answer(
    lifespan: "asyncio.Future[None]", from_app: asyncio.Queue[Message], wanted: str
) -> None:
    """Wait for the application's word, or for its end without one."""
    waiting = asyncio.ensure_future(from_app.get())
    either: set[asyncio.Future[Any]] = {waiting, lifespan}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        lifespan.result()
        raise StartFailed(f"the lifespan ended before {wanted}")
    message = waiting.result()
    if message["type"] != wanted:
        # A lifespan that raised says so here and then raises: its own error tells more.
        await asyncio.wait({lifespan}, timeout=1)
        if lifespan.done():
            lifespan.result()
        raise StartFailed(message.get("message", message["type"]))
