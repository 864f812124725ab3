"""One request to a host at a time, and never sooner than the host likes.

"At a time" is per process; the interval is kept in the database and holds for all processes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from seda_db import Database
from seda_runtime.clock import Clock

from crawler import store

Rest = Callable[[float], Awaitable[None]]
"""Wait for some seconds; tests pass one that only takes notes."""


class HostTurns:
    """Who may ask which host now. Hosts nobody waits for take no memory."""

    def __init__(self, db: Database, *, now: Clock, rest: Rest = asyncio.sleep) -> None:
        self._db = db
        self._now = now
        self._rest = rest
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, host: str, *, interval_seconds: float) -> AsyncIterator[None]:
        """Inside the block this process may make one request to the host."""
        lock = self._locks.setdefault(host, asyncio.Lock())
        self._waiting[host] = self._waiting.get(host, 0) + 1
        try:
            async with lock:
                await self._wait_for_turn(host, timedelta(seconds=interval_seconds))
                yield
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host], self._locks[host]

    async def _wait_for_turn(self, host: str, interval: timedelta) -> None:
        async with self._db.begin() as tx:
            now = self._now()
            moment = await store.take_turn(tx, host, now=now, interval=interval)
        wait_seconds = (moment - now).total_seconds()
        if wait_seconds > 0:
            await self._rest(wait_seconds)
