"""Argon2id in a bounded queue, so that a flood of logins cannot take the machine.

One hash holds a core for about 20 ms and 19 MiB. A fixed number run at once, a fixed number wait,
and the next one is told to come back.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth_gateway.accounts.domain import password_bytes

MEMORY_KIB = 19 * 1024
TIME_COST = 2
PARALLELISM = 1
R = TypeVar("R")


class HashingBusy(Exception):
    """Every worker is hashing and the queue is full."""

    retry_after_seconds = 2


class PasswordHashing:
    """Hash and verify off the event loop. Close it last: it waits for what is running."""

    def __init__(self, *, workers: int, waiting_max: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM
        )
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._admitted_max = workers + waiting_max
        self._admitted = 0
        self._nobody = self._hasher.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """Raises HashingBusy."""
        return await self._run(lambda: self._hasher.hash(password_bytes(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether `password` made `stored`. Raises HashingBusy.

        Without a stored hash the same work is done on a hash that nothing matches, so the time of
        the answer does not tell whether the account exists.
        """
        return await self._run(lambda: self._matches(password, stored or self._nobody))

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password_bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], R]) -> R:
        if self._admitted >= self._admitted_max:
            raise HashingBusy
        self._admitted += 1
        future = self._pool.submit(work)
        # Released by the worker, not by the waiter: a client that hangs up does not free the core.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        loop = asyncio.get_running_loop()
        return await asyncio.wrap_future(future)

    def _release(self) -> None:
        self._admitted -= 1
