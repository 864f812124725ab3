"""The composition root: a database, a bus and one consumer."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from seda_db import Database
from seda_messaging import Bus
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
    inbox = Table.metadata.tables["ledger.inbox"]

    @asynccontextmanager
    async def consuming(_: Litestar) -> AsyncIterator[None]:
        """Without `run_messaging`, which only takes what the contracts registry declares."""
        await bus.open()
        consumer = asyncio.create_task(consume(bus, inbox, STREAM, subscriptions(db)))
        try:
            yield
        finally:
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)
            await bus.close()
            await db.close()

    return build_app(
        settings,
        name=SERVICE,
        description="Books every event of chat, once.",
        route_handlers=[],
        problems={},
        lifespan=[consuming],
        ready_checks={"database": db.ping, "nats": bus.ready},
    )


def create_app_from_env() -> Litestar:
    """What Granian calls."""
    return create_app(load(Settings, os.environ))
