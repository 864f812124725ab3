"""A whole gateway on real PostgreSQL and NATS, with a real server in the place of each service."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from auth_gateway.app import create_app
from auth_gateway.settings import Settings
from litestar import Litestar
from seda_testkit.app import running
from seda_testkit.databases import ServiceDatabase
from seda_testkit.nats import EmbeddedNats

from .upstream import Upstream

ADMIN_API_KEY = "k" * 40
Running = AbstractAsyncContextManager[httpx.AsyncClient]


@pytest.fixture(scope="module")
def database(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("auth_gateway", "auth")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


def settings_of(database: ServiceDatabase, broker: EmbeddedNats, upstream: Upstream) -> Settings:
    return Settings(
        env="test",
        port=0,
        database_url=database.app_url,
        database_pool_size=8,
        nats_url=broker.url,
        user_artist_url=upstream.url,
        verification_url=upstream.url,
        chat_realtime_url=upstream.url,
        track_unfurl_url=upstream.url,
        crawler_url=upstream.url,
        admin_api_key=ADMIN_API_KEY,
        rate_limit_max_requests=10_000,
        rate_limit_default_requests_max=10_000,
        upstream_read_timeout_ms=400,
        upstream_total_timeout_ms=2_000,
    )


@pytest.fixture
async def settings(
    database: ServiceDatabase, broker: EmbeddedNats, upstream: Upstream
) -> AsyncIterator[Settings]:
    yield settings_of(database, broker, upstream)
    await database.delete_rows()


@pytest.fixture
def start() -> Callable[..., Running]:
    """`async with start(settings) as client`: a gateway of one test's own settings."""

    @asynccontextmanager
    async def starting(settings: Settings, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with running(create_app(settings, **options)) as client:
            yield client

    return starting


@pytest.fixture
def app(settings: Settings) -> Litestar:
    return create_app(settings)


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as bound:
        yield bound
