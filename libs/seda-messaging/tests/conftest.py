"""A schema with the two messaging tables and one effect table, on real servers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import nats as nats_client
import pytest
from nats.js import JetStreamContext
from seda_db import Database
from seda_db.database import async_url
from seda_messaging import Bus, Outbox, Subscription, run_messaging
from seda_messaging.provision import provision
from seda_messaging.tables import add_messaging_tables
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres
from seda_testkit.provision import in_database
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import create_async_engine

SCHEMA = "example"
metadata = MetaData(schema=SCHEMA)
add_messaging_tables(metadata)
effects = Table(
    "effect",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("note", String, nullable=False),
)
Messaging = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture(scope="module")
async def database_url(postgres: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(postgres.admin_url)
    await admin.execute("DROP DATABASE IF EXISTS messaging WITH (FORCE)")
    await admin.execute("CREATE DATABASE messaging")
    await admin.close()
    url = in_database(postgres.admin_url, "messaging")
    engine = create_async_engine(async_url(url))
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    async with made.begin() as tx:
        for table in reversed(metadata.sorted_tables):
            await tx.execute(table.delete())
    yield made
    await made.close()


@pytest.fixture
async def broker(fresh_nats: EmbeddedNats) -> EmbeddedNats:
    """A server of this test alone, holding the streams and durables of the two services."""
    await provision(fresh_nats.url, "chat-realtime")
    await provision(fresh_nats.url, "track-unfurl")
    return fresh_nats


@pytest.fixture
async def js(broker: EmbeddedNats) -> AsyncIterator[JetStreamContext]:
    client = await nats_client.connect(broker.url, reconnect_time_wait=0.1)
    yield client.jetstream()
    await client.close()


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(metadata, service="chat-realtime")


@pytest.fixture
def messaging(broker: EmbeddedNats, outbox: Outbox, database: Database) -> Messaging:
    """`async with messaging(*subscriptions): ...` runs relay and consumers as a service does."""

    @asynccontextmanager
    async def run(*subscriptions: Subscription) -> AsyncIterator[None]:
        bus = Bus(broker.url, service="track-unfurl")
        async with run_messaging(bus, outbox, database, subscriptions):
            yield

    return run
