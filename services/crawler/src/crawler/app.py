"""Where the parts of the crawler meet: settings in, a Litestar application out."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from seda_db import Database
from seda_fetch import Fetcher, FetchLimits
from seda_identity import IdentityVerifier, enforce_policies, require_identity
from seda_messaging import Bus, Outbox, run_messaging
from seda_runtime.application import build_app
from seda_runtime.clock import Clock, utc_now
from seda_runtime.settings import load

from crawler.consumers import subscriptions
from crawler.operations import Crawling
from crawler.politeness import HostTurns
from crawler.problems import PROBLEMS
from crawler.robots import product_token
from crawler.routes import CrawlerRoutes
from crawler.settings import Settings
from crawler.tables import Table

SERVICE = "crawler"


def create_app(settings: Settings, *, now: Clock = utc_now) -> Litestar:
    """The service, not yet started; `now` is what its operations take for the time."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=SERVICE, nkey_seed=settings.nats_nkey_seed)
    fetcher = Fetcher(
        settings.crawler_user_agent,
        FetchLimits(deadline_seconds=settings.crawler_timeout_ms / 1000),
        settings.fetch_resolver_override,
    )
    crawling = Crawling(
        db=db,
        fetcher=fetcher,
        outbox=Outbox(Table.metadata, service=SERVICE, now=now),
        turns=HostTurns(db, now=now),
        now=now,
        product=product_token(settings.crawler_user_agent),
        retries_max=settings.crawler_max_retries,
        retry_budget_seconds=settings.crawler_retry_budget_ms / 1000,
        host_interval_seconds=settings.crawler_host_interval_ms / 1000,
    )
    consumed = subscriptions(crawling, concurrency=settings.crawler_concurrency)

    @asynccontextmanager
    async def messaging(_: Litestar) -> AsyncIterator[None]:
        try:
            async with run_messaging(bus, crawling.outbox, db, consumed):
                yield
        finally:
            await fetcher.aclose()
            await db.close()

    return build_app(
        settings,
        name=SERVICE,
        description="Fetches pages politely and safely, and keeps the record of it.",
        route_handlers=[CrawlerRoutes],
        problems=PROBLEMS,
        lifespan=[messaging],
        dependencies={"db": _given(db), "crawling": _given(crawling)},
        ready_checks={"database": db.ping, "messaging": bus.ready},
        before_start=[enforce_policies],
        on_app_init=[
            require_identity(IdentityVerifier(settings.gateway_url, audience=SERVICE)),
        ],
    )


def create_app_from_env() -> Litestar:
    return create_app(load(Settings, os.environ))


def _given(part: Any) -> Provide:
    """A long-lived part as a dependency."""
    return Provide(lambda: part, sync_to_thread=False)
