"""Live signals: bytes handed to core NATS once the transaction that staged them has committed.

They may be lost and nobody waits for them; whoever listens repairs by `seq`. Nothing that must
arrive goes this way (that is the outbox).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seda_db import Transaction, after_commit
from seda_messaging import Bus
from seda_runtime.logging import get_logger

log = get_logger(__name__)
WAITING_MAX = 10_000
LAST_WORDS_SECONDS_MAX = 2


class Signals:
    """The outgoing live signals of one process, in the order of its commits."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING_MAX)

    def stage(self, tx: Transaction, subject: str, payload: bytes) -> None:
        """Publish when `tx` commits; forget when it rolls back."""
        staged: list[tuple[str, bytes]] | None = tx.info.get("signals")
        if staged is not None:
            staged.append((subject, payload))
            return
        tx.info["signals"] = signals = [(subject, payload)]

        def committed() -> None:
            for signal in signals:
                self.publish(*signal)

        after_commit(tx, committed)

    def publish(self, subject: str, payload: bytes) -> None:
        """Publish now: for what is true without any commit, such as typing."""
        if self._waiting.full():
            log.warning("live.dropped", reason="queue full")
            return
        self._waiting.put_nowait((subject, payload))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        pump = asyncio.create_task(self._pump())
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.join(), LAST_WORDS_SECONDS_MAX)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pump(self) -> None:
        while True:
            subject, payload = await self._waiting.get()
            await self._bus.publish_live(subject, payload)
            self._waiting.task_done()
