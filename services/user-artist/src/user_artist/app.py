"""Where the parts of user-artist meet: settings in, a Litestar application out."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from seda_db import Database
from seda_identity import IdentityVerifier, enforce_policies, require_identity
from seda_messaging import Bus, Outbox, run_messaging
from seda_runtime.application import build_app
from seda_runtime.clock import Clock, utc_now
from seda_runtime.settings import load

from user_artist.artists.operations import Artists
from user_artist.artists.routes import ArtistRoutes
from user_artist.blocks.routes import BlockRoutes
from user_artist.consumers import subscriptions
from user_artist.problems import PROBLEMS
from user_artist.settings import Settings
from user_artist.tables import Table
from user_artist.users.operations import Profiles
from user_artist.users.routes import UserRoutes

SERVICE = "user-artist"


def create_app(settings: Settings, *, now: Clock = utc_now) -> Litestar:
    """The service, not yet started; `now` is what its operations take for the time."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=SERVICE, nkey_seed=settings.nats_nkey_seed)
    outbox = Outbox(Table.metadata, service=SERVICE, now=now)
    profiles = Profiles(outbox=outbox, now=now)
    artists = Artists(outbox=outbox, now=now)

    @asynccontextmanager
    async def messaging(_: Litestar) -> AsyncIterator[None]:
        try:
            consumed = subscriptions(db, profiles=profiles, artists=artists)
            async with run_messaging(bus, outbox, db, consumed):
                yield
        finally:
            await db.close()

    return build_app(
        settings,
        name=SERVICE,
        description="Profiles of listeners and artists, and the search over them.",
        route_handlers=[UserRoutes, BlockRoutes, ArtistRoutes],
        problems=PROBLEMS,
        lifespan=[messaging],
        dependencies={"db": _given(db), "profiles": _given(profiles), "artists": _given(artists)},
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
