"""The reference client with everything it was told, and when: for the demo, which says how long
things took, and for the benchmarks.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from seda_client import Client, Happened, Stopped, connect
from seda_client.application import Happening, TicketSource

from seda_testkit.eventually import eventually

TOLD_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened, and when it was handed on by this process's own clock."""

    happening: Happening
    at: float

    @property
    def op(self) -> str:
        return str(self._frame.get("op", ""))

    @property
    def kind(self) -> str:
        return str(self._frame.get("t", ""))

    @property
    def data(self) -> Mapping[str, Any]:
        return dict(self._frame.get("d") or {})

    @property
    def _frame(self) -> Mapping[str, Any]:
        """Empty where it was not the server that said it."""
        return self.happening.frame if isinstance(self.happening, Happened) else {}


class Watcher:
    """Use `watching`. What was told is kept, so nothing is missed between two waits."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: list[Told] = []
        self._stopped: Stopped | None = None
        self._news = asyncio.Condition()

    async def follow(self, room: str) -> None:
        """Returns when everything that happens from now on is told."""
        wanted = UUID(room)
        self.client.follow(wanted)
        await eventually(lambda: self._is_followed(wanted), timeout_seconds=TOLD_SECONDS_MAX)

    async def send(self, room: str, text: str) -> dict[str, Any]:
        """Returns when the message is committed."""
        return await self.client.send(UUID(room), text)

    async def wait_for(
        self,
        wanted: Callable[[Told], bool],
        *,
        first: int = 0,
        timeout_seconds: float = TOLD_SECONDS_MAX,
    ) -> Told:
        """The first like that of those numbered from `first` on, which may have come before.
        Raises TimeoutError, and Stopped when nothing will come any more.
        """
        async with asyncio.timeout(timeout_seconds), self._news:
            while True:
                for told in self.told[first:]:
                    if wanted(told):
                        return told
                first = max(first, len(self.told))
                if self._stopped is not None:
                    raise self._stopped
                await self._news.wait()

    async def read(self) -> None:
        try:
            async for happening in self.client.happenings():
                self.told.append(Told(happening, time.perf_counter()))
                async with self._news:
                    self._news.notify_all()
        except Stopped as stopped:
            self._stopped = stopped
            async with self._news:
                self._news.notify_all()

    def _is_followed(self, room: UUID) -> bool:
        if self._stopped is not None:
            raise self._stopped
        return self.client.cursor(room) is not None


@asynccontextmanager
async def watching(source: TicketSource) -> AsyncIterator[Watcher]:
    async with connect(source) as client:
        watcher = Watcher(client)
        reading = asyncio.create_task(watcher.read())
        try:
            yield watcher
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
