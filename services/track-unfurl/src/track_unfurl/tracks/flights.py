"""One piece of work per key, however many ask for it; askers may leave, the work goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work in flight in this process. A failure is shared by all who wait, not retried by each."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}

    @property
    def count(self) -> int:
        return len(self._tasks)

    def start(self, key: str, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """The task for this key: the one already flying, or a new one."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(_awaited(work))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return task

    async def wait(self, task: asyncio.Task[T], timeout_seconds: float) -> T | None:
        """Its result, or None when the time is over. Never cancels it; raises what it raised."""
        await asyncio.wait({task}, timeout=timeout_seconds)
        return task.result() if task.done() else None

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, key: str, task: asyncio.Task[T]) -> None:
        del self._tasks[key]
        # An error that nobody waited for any more must not be reported as forgotten.
        if not task.cancelled():
            task.exception()


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
