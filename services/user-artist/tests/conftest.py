"""The service on a real database and a real broker, and a client that speaks as the gateway."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from seda_contracts.events.auth import AccountRegistered
from seda_db import Database
from seda_messaging import Outbox
from seda_runtime.ids import uuid7
from seda_testkit.app import running
from seda_testkit.caller import Caller
from seda_testkit.clock import NOON, HandClock
from seda_testkit.databases import ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from user_artist.app import SERVICE, create_app
from user_artist.artists.operations import Artists
from user_artist.settings import Settings
from user_artist.tables import Table
from user_artist.users import operations as user_operations
from user_artist.users.operations import Profiles


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("user_artist", "user_artist")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(Table.metadata, service=SERVICE)


@pytest.fixture
def profiles(outbox: Outbox, clock: HandClock) -> Profiles:
    return Profiles(outbox=outbox, now=clock)


@pytest.fixture
def artists(outbox: Outbox, clock: HandClock) -> Artists:
    return Artists(outbox=outbox, now=clock)


@pytest.fixture
def register(db: Database, profiles: Profiles) -> Callable[..., Any]:
    """`await register("Ada")` makes a profile and gives its id."""

    async def make(display_name: str | None = "Ada Lovelace", user_id: UUID | None = None) -> UUID:
        account = AccountRegistered(
            user_id=user_id or uuid7(),
            method="password",
            registered_at=NOON,
            display_name=display_name,
        )
        async with db.begin() as tx:
            await user_operations.create_profile(
                tx, profiles, account.user_id, display_name=account.display_name
            )
        return account.user_id

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
