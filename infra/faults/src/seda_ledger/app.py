"""The composition root: a database, a bus and one consumer."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from seda_db import Database
from seda_messaging import Bus, Outbox, run_messaging
from seda_messaging.consumer import consume
from seda_runtime.application import build_app
from seda_runtime.settings import ServiceSettings, load

from seda_ledger.consumers import STREAM, subscriptions
from seda_ledger.tables import Table

SERVICE = "ledger"


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing beyond what every service needs."""


def create_app(settings: Settings) -> Litestar:
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=SERVICE, nkey_seed=settings.nats_nkey_seed)
    outbox = Outbox(Table.metadata, service=SERVICE)
    inbox = Table.metadata.tables["ledger.inbox"]

    @asynccontextmanager
    async def messaging(_: Litestar) -> AsyncIterator[None]:
        """The consumer beside `run_messaging`, which takes only what the contracts declare."""
        try:
            async with run_messaging(bus, outbox, db, ()):
                consumer = asyncio.create_task(consume(bus, inbox, STREAM, subscriptions(db)))
                try:
                    yield
                finally:
                    consumer.cancel()
                    await asyncio.gather(consumer, return_exceptions=True)
        finally:
            await db.close()

    return build_app(
        settings,
        name=SERVICE,
        description="Books every event of chat, once.",
        route_handlers=[],
        problems={},
        lifespan=[messaging],
        ready_checks={"database": db.ping, "nats": bus.ready},
    )


def create_app_from_env() -> Litestar:
    """What Granian calls."""
    return create_app(load(Settings, os.environ))
