"""Where the parts of track-unfurl meet: settings in, a Litestar application out."""

import os
import random
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from seda_db import Database
from seda_fetch import Fetcher, FetchLimits, check_override_allowed
from seda_identity import IdentityVerifier, enforce_policies, require_identity
from seda_messaging import Bus, Outbox, run_messaging
from seda_runtime.application import build_app
from seda_runtime.clock import Clock, utc_now
from seda_runtime.settings import load

from track_unfurl.charts.operations import Charts
from track_unfurl.charts.popular import PopularChart
from track_unfurl.charts.routes import ChartRoutes
from track_unfurl.consumers import subscriptions
from track_unfurl.problems import PROBLEMS
from track_unfurl.settings import Settings
from track_unfurl.tables import Table
from track_unfurl.tracks.flights import Flights
from track_unfurl.tracks.hosts import Hosts
from track_unfurl.tracks.operations import Tracks
from track_unfurl.tracks.recent import Recent
from track_unfurl.tracks.resolution import Resolving
from track_unfurl.tracks.routes import TrackRoutes

SERVICE = "track-unfurl"


def create_app(
    settings: Settings, *, now: Clock = utc_now, ssl_context: ssl.SSLContext | None = None
) -> Litestar:
    """The service, not yet started. `ssl_context` is whom its fetches trust; tests bring their CA.

    Raises OverrideForbidden when names are overridden where real people are served.
    """
    check_override_allowed(settings.env, settings.fetch_resolver_override)
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=SERVICE, nkey_seed=settings.nats_nkey_seed)
    outbox = Outbox(Table.metadata, service=SERVICE, now=now)
    fetch_seconds = settings.unfurl_fetch_ms / 1000
    resolving = Resolving(
        db=db,
        tracks=Tracks(outbox=outbox, now=now, jitter=random.random),
        fetcher=Fetcher(
            settings.fetch_user_agent,
            FetchLimits(deadline_seconds=fetch_seconds),
            settings.fetch_resolver_override,
            ssl_context,
        ),
        hosts=Hosts(time.monotonic),
        recent=Recent(),
        refreshes=Flights(),
        hops=Flights(),
        fetch_seconds=fetch_seconds,
    )
    popular = PopularChart(
        db,
        Charts(outbox=outbox, now=now),
        kept_seconds=settings.chart_cache_seconds,
        monotonic=time.monotonic,
    )

    @asynccontextmanager
    async def working(_: Litestar) -> AsyncIterator[None]:
        try:
            async with run_messaging(bus, outbox, db, subscriptions(db, resolving=resolving)):
                yield
        finally:
            for part in (popular, resolving.refreshes, resolving.hops):
                await part.close()
            await resolving.fetcher.aclose()
            await db.close()

    return build_app(
        settings,
        name=SERVICE,
        description="Track cards for music links, and the ranking of what people share.",
        route_handlers=[TrackRoutes, ChartRoutes],
        problems=PROBLEMS,
        lifespan=[working],
        dependencies={
            "db": _given(db),
            "resolving": _given(resolving),
            "popular": _given(popular),
            "settings": _given(settings),
        },
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
