"""Where the parts of verification meet: settings in, a Litestar application out."""

import os
import secrets
from collections.abc import AsyncIterator, Callable
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

from verification.consumers import subscriptions
from verification.moves import Claims
from verification.problems import PROBLEMS
from verification.routes import ReviewRoutes, VerificationRoutes
from verification.settings import Settings
from verification.sweep import sweeping
from verification.tables import Table

SERVICE = "verification"


def create_app(
    settings: Settings, *, now: Clock = utc_now, choose: Callable[[str], str] = secrets.choice
) -> Litestar:
    """The service, not yet started. `now` is its time, `choose` draws the symbols of its codes."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    bus = Bus(settings.nats_url, service=SERVICE, nkey_seed=settings.nats_nkey_seed)
    outbox = Outbox(Table.metadata, service=SERVICE, now=now)
    claims = Claims(outbox=outbox, now=now, limits=settings.limits(), choose=choose)

    @asynccontextmanager
    async def working(_: Litestar) -> AsyncIterator[None]:
        try:
            async with (
                run_messaging(bus, outbox, db, subscriptions(db, claims)),
                sweeping(db, claims),
            ):
                yield
        finally:
            await db.close()

    return build_app(
        settings,
        name=SERVICE,
        description="Proves that a claimed artist profile belongs to who claims it.",
        route_handlers=[VerificationRoutes, ReviewRoutes],
        problems=PROBLEMS,
        lifespan=[working],
        dependencies={"db": _given(db), "claims": _given(claims)},
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
