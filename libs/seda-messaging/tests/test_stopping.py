"""A stop is a stop, also when a client library has swallowed the word."""

import asyncio
from collections.abc import Mapping

from seda_db import Database
from seda_messaging import Bus, Outbox
from seda_messaging.outbox import Row
from seda_testkit.eventually import eventually

from .conftest import metadata


class DeafBus(Bus):
    """Confirms at the very moment it is cancelled, as `asyncio.wait_for` before 3.12 may."""

    def __init__(self) -> None:
        super().__init__("nats://127.0.0.1:1", service="example")
        self.waiting = asyncio.Event()

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


async def test_the_relay_ends_although_its_cancellation_was_swallowed(database: Database) -> None:
    outbox, bus = Outbox(metadata, service="example"), DeafBus()
    relay = asyncio.create_task(outbox.relay(bus, database))

    def offered() -> bool:
        outbox.offer([Row(id=1, subject="x", ordering_key="x", headers={}, payload=b"")])
        return bus.waiting.is_set()

    await eventually(offered)
    relay.cancel()
    done, _ = await asyncio.wait({relay}, timeout=10)
    assert done
