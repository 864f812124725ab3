"""The service on a real database and a real broker, and a client that speaks as the gateway."""

import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from seda_db import Database
from seda_messaging import Outbox
from seda_runtime.ids import uuid7
from seda_testkit.app import running
from seda_testkit.caller import Caller
from seda_testkit.clock import HandClock
from seda_testkit.databases import ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from verification import operations
from verification.app import SERVICE, create_app
from verification.domain import Limits
from verification.moves import Claims
from verification.settings import Settings
from verification.tables import ClaimRow, Table

PAGE = "https://nova.example/"


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("verification", "verification")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(Table.metadata, service=SERVICE)


@pytest.fixture
def claims(outbox: Outbox, clock: HandClock) -> Claims:
    return Claims(outbox=outbox, now=clock, limits=Limits(), choose=secrets.choice)


@pytest.fixture
def listed(db: Database) -> Callable[..., Any]:
    """`await listed(user_id, link, ...)` makes an artist of that person known; gives its id."""

    async def make(user_id: UUID, *links: str) -> UUID:
        artist_id = uuid7()
        async with db.begin() as tx:
            await operations.remember_artist(
                tx, artist_id=artist_id, user_id=user_id, links=list(links or (PAGE,)), version=1
            )
        return artist_id

    return make


@pytest.fixture
def submit(db: Database, claims: Claims, listed: Callable[..., Any]) -> Callable[..., Any]:
    """`await submit(user_id)` lists an artist, draws a code and gives claim and code."""

    async def make(
        user_id: UUID, target_url: str = PAGE, *, artist_id: UUID | None = None
    ) -> tuple[ClaimRow, str]:
        artist_id = artist_id or await listed(user_id)
        async with db.begin() as tx:
            return await operations.submit_claim(
                tx, claims, user_id=user_id, artist_id=artist_id, target_url=target_url
            )

    return make


@pytest.fixture
def begin_check(db: Database, claims: Claims) -> Callable[..., Any]:
    """`await begin_check(claim)` starts a check as its owner and gives the claim as it is then."""

    async def make(claim: ClaimRow) -> ClaimRow:
        async with db.begin() as tx:
            return await operations.start_check(
                tx, claims, user_id=claim.user_id, claim_id=claim.id
            )

    return make


@pytest.fixture
def settings(migrated: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys) -> Settings:
    return Settings(
        env="test",
        port=0,
        database_url=migrated.app_url,
        nats_url=broker.url,
        gateway_url=keys.gateway_url,
    )


@pytest.fixture
def app(settings: Settings, clock: HandClock) -> Litestar:
    return create_app(settings, now=clock)


@pytest.fixture
async def client(db: Database, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    del db  # emptied before the service starts
    async with running(app) as client:
        yield client


@pytest.fixture
def calling(client: httpx.AsyncClient, keys: GatewayKeys) -> Callable[..., Caller]:
    """`calling(user_id=...)` is that person; `calling()` is nobody."""
    return partial(Caller, client, keys, SERVICE)
