"""The servers under the measurement of events: what stands on them, and what they counted."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import asyncpg
import msgspec
import nats
from event_work import CONSUMER, SCHEMA, Places, effects, metadata
from nats.js import JetStreamContext
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.registry import durable_name
from seda_db.database import async_url
from seda_messaging.provision import provision
from seda_runtime.clock import utc_now
from seda_runtime.ids import uuid7
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres
from sqlalchemy.ext.asyncio import create_async_engine

SYSTEMS = ("seda", "faststream")
"""Each is the name of a program, of its connection to the broker, and has a database of its own."""
STREAM = "CHAT"
DURABLE = durable_name(CONSUMER)
COUNT_STATEMENTS = "shared_preload_libraries=pg_stat_statements"
STATEMENTS = """
SELECT datname, sum(calls)::bigint FROM pg_stat_statements
JOIN pg_database ON pg_database.oid = dbid GROUP BY datname
"""


@dataclass(slots=True)
class Ground:
    """Both servers, with the streams of the platform and a migrated schema per system."""

    postgres: EmbeddedPostgres
    broker: EmbeddedNats
    databases: dict[str, ServiceDatabase]
    js: JetStreamContext

    metadata = metadata

    @property
    def postgres_pid(self) -> int:
        assert self.postgres.pid is not None
        return self.postgres.pid

    def places(self, system: str, **options: Any) -> Places:
        url = self.databases[system].app_url
        return Places(database_url=url, nats_url=self.broker.url, **options)

    async def clear(self, system: str) -> None:
        """No round is slower for the rows that an earlier one left."""
        tables = ", ".join(f"{SCHEMA}.{name}" for name in ("inbox", "outbox", effects.name))
        await self._ask(system, f"TRUNCATE {tables}")

    async def effects(self, system: str) -> int:
        return int((await self._ask(system, f"SELECT count(*) FROM {effects}"))[0][0])

    async def all_published(self, system: str) -> bool:
        waiting = f"SELECT EXISTS (SELECT FROM {SCHEMA}.outbox WHERE published_at IS NULL)"
        return not (await self._ask(system, waiting))[0][0]

    async def statements(self) -> dict[str, int]:
        """How many the server has executed so far, by system."""
        by_database = {name: calls for name, calls in await self._ask(SYSTEMS[0], STATEMENTS)}
        return {
            system: by_database.get(database.admin_url.rpartition("/")[2], 0)
            for system, database in self.databases.items()
        }

    async def messages_by_client(self) -> dict[str, int]:
        """How many the broker has received so far, by the name of the connection."""
        address = f"{self.broker.monitor_url}/connz"
        opener = build_opener(ProxyHandler({}))
        answer = await asyncio.to_thread(lambda: opener.open(address, timeout=5).read())
        return {one["name"]: one["in_msgs"] for one in msgspec.json.decode(answer)["connections"]}

    async def empty_stream(self) -> None:
        await self.js.purge_stream(STREAM)
        await self.rewind()

    async def rewind(self) -> None:
        """The durable consumer begins again with the oldest message."""
        await self.js.delete_consumer(STREAM, DURABLE)
        await provision(self.broker.url, CONSUMER.partition(".")[0])

    async def publish(self, events: Iterable[Contract]) -> None:
        for event in events:
            headers = headers_of(event, event_id=uuid7(), service="chat-realtime", at=utc_now())
            await self.js.publish(event.subject(), event.encode(), headers=headers)

    async def remaining(self) -> int:
        """Messages of the durable that nobody has acknowledged yet."""
        info = await self.js.consumer_info(STREAM, DURABLE)
        return int(info.num_pending or 0) + int(info.num_ack_pending or 0)

    async def wait_for_remaining(self, messages_max: int) -> None:
        async def reached() -> bool:
            return await self.remaining() <= messages_max

        await eventually(reached, timeout_seconds=60)

    def machine(self) -> dict[str, str]:
        model = [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
        return {
            "machine": f"{os.cpu_count()} x {model[0] if model else platform.machine()}",
            "python": platform.python_version(),
            "durability": "PostgreSQL fsync on; nats-server file storage, sync_interval 2m",
        }

    async def _ask(self, system: str, statement: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.databases[system].admin_url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    with (
        EmbeddedPostgres(durable=True, settings=[COUNT_STATEMENTS]) as postgres,
        EmbeddedNats() as broker,
    ):
        factory = DatabaseFactory(postgres)
        databases = {system: factory.clone("track_unfurl", SCHEMA) for system in SYSTEMS}
        for database in databases.values():
            await _add_effects(database)
        for service in ("chat-realtime", "track-unfurl"):
            await provision(broker.url, service)
        client = await nats.connect(broker.url, name="bench")
        try:
            yield Ground(postgres, broker, databases, client.jetstream())
        finally:
            await client.close()


async def _add_effects(database: ServiceDatabase) -> None:
    """As the owner, whose tables the service's own role may use."""
    owner = create_async_engine(async_url(database.owner_url))
    async with owner.begin() as connection:
        await connection.run_sync(effects.create)
    await owner.dispose()
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("CREATE EXTENSION pg_stat_statements")
    await admin.close()
