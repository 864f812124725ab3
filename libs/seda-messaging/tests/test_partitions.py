"""A day of the outbox is there before it is needed and goes when its last row has been kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, time, timedelta

import asyncpg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_db import Database
from seda_db.database import async_url
from seda_messaging import Outbox
from seda_messaging.migrations import (
    create_messaging_tables,
    partition_outbox,
    unpartition_outbox,
)
from seda_messaging.partitions import Rolled, roll_partitions
from seda_testkit.eventually import eventually
from seda_testkit.postgres import EmbeddedPostgres
from seda_testkit.provision import new_passwords, provision, role_urls
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

Messaging = Callable[..., AbstractAsyncContextManager[None]]
SCHEMA = "chat"
DATABASE = "partitions"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """The roles of a service get new passwords here, and other tests know the old ones."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture
async def urls(own_postgres: EmbeddedPostgres) -> AsyncIterator[tuple[str, str]]:
    """Owner's and application's login to a schema with the tables of the first migration."""
    passwords = new_passwords([SCHEMA])
    await provision(own_postgres.admin_url, [SCHEMA], passwords, database=DATABASE)
    found = role_urls(own_postgres.admin_url, SCHEMA, passwords, database=DATABASE)
    await migrate(found.owner_url, create_messaging_tables)
    yield found.owner_url, found.app_url
    admin = await asyncpg.connect(own_postgres.admin_url)
    await admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    await admin.close()


async def migrate(owner_url: str, *steps: Callable[[str], None]) -> None:
    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            for step in steps:
                step(SCHEMA)

    engine = create_async_engine(async_url(owner_url))
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


@pytest.fixture
async def owner(urls: tuple[str, str]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(urls[0])
    yield connection
    await connection.close()


@pytest.fixture
async def app(urls: tuple[str, str]) -> AsyncIterator[Database]:
    """The application's role on the migrated schema."""
    await migrate(urls[0], partition_outbox)
    made = Database(urls[1])
    yield made
    await made.close()


async def write(
    connection: asyncpg.Connection, at: datetime, *, published_at: datetime | None = None
) -> int:
    found = await connection.fetchval(
        f"INSERT INTO {SCHEMA}.outbox (event_id, subject, ordering_key, headers, payload, "
        "created_at, published_at) VALUES (gen_random_uuid(), 's', 'k', '{}', '', $1, $2) "
        "RETURNING id",
        at,
        published_at,
    )
    assert isinstance(found, int)
    return found


async def homes(connection: asyncpg.Connection) -> dict[int, str]:
    """By row id the partition it lies in."""
    query = f"SELECT id, tableoid::regclass::text AS home FROM {SCHEMA}.outbox"
    return {row["id"]: row["home"].rpartition(".")[2] for row in await connection.fetch(query)}


async def roll(app: Database, moment: datetime | None = None) -> list[tuple[str, str]]:
    async with app.begin() as tx:
        rolled = await roll_partitions(tx, SCHEMA, moment=moment)
    return [(part.partition, part.outcome) for part in rolled]


def named(day: date) -> str:
    return f"outbox_{day:%Y%m%d}"


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


async def today_of(connection: asyncpg.Connection) -> date:
    found = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    assert isinstance(found, date)
    return found


async def test_the_migration_keeps_every_row_its_id_and_the_order_of_new_ones(
    urls: tuple[str, str], owner: asyncpg.Connection
) -> None:
    now = datetime.now(UTC)
    old = await write(owner, now - 400 * DAY, published_at=now - 400 * DAY)
    waiting = await write(owner, now)
    before = await owner.fetch(f"SELECT * FROM {SCHEMA}.outbox ORDER BY id")
    await migrate(urls[0], partition_outbox)
    assert await owner.fetchval("SELECT count(*) FROM chat.outbox WHERE published_at IS NULL") == 1
    new = await write(owner, now)
    assert old < waiting < new
    await migrate(urls[0], unpartition_outbox)
    newest = await write(owner, now)
    assert new < newest
    after = await owner.fetch(f"SELECT * FROM {SCHEMA}.outbox ORDER BY id")
    assert [tuple(row) for row in after[:2]] == [tuple(row) for row in before]
    assert [row["id"] for row in after] == [old, waiting, new, newest]
    await migrate(urls[0], partition_outbox)
    assert set(await homes(owner)) == {old, waiting, new, newest}


async def test_the_migration_makes_the_days_ahead(app: Database, owner: asyncpg.Connection) -> None:
    today = await today_of(owner)
    rows = [await write(owner, noon(today + ahead * DAY)) for ahead in range(4)]
    later = await write(owner, noon(today + 4 * DAY))
    found = await homes(owner)
    assert [found[row] for row in rows] == [named(today + ahead * DAY) for ahead in range(4)]
    assert found[later] == "outbox_default"


async def test_the_application_role_rolls_by_the_function_and_by_nothing_else(
    app: Database, urls: tuple[str, str], owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    assert await roll(app) == []
    assert await roll(app, noon(today + DAY)) == [(named(today + 4 * DAY), "created")]
    role = await asyncpg.connect(urls[1])
    for statement in (
        f"DROP TABLE {SCHEMA}.{named(today)}",
        f"CREATE TABLE {SCHEMA}.x PARTITION OF {SCHEMA}.outbox DEFAULT",
        f"ALTER TABLE {SCHEMA}.outbox DETACH PARTITION {SCHEMA}.outbox_default",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await role.execute(statement)
    # Objects of the caller's choosing must not be found in the owner's name.
    await role.execute("SET search_path = public, pg_temp")
    assert await role.fetch(f"SELECT * FROM {SCHEMA}.roll_outbox()") == []
    await role.close()


async def test_nobody_else_may_roll(app: Database, owner: asyncpg.Connection) -> None:
    del app
    granted = "SELECT proacl::text FROM pg_proc WHERE proname = 'roll_outbox'"
    assert await owner.fetchval(granted) == "{chat_owner=X/chat_owner,chat_app=X/chat_owner}"


async def test_a_day_is_dropped_whole_when_its_last_row_may_be_72_hours_old(
    app: Database, owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    row = await write(owner, noon(today + DAY), published_at=noon(today + DAY))
    end = datetime.combine(today + 2 * DAY, time(), UTC)
    await roll(app, end + timedelta(hours=72) - timedelta(seconds=1))
    assert row in await homes(owner)
    assert (named(today + DAY), "dropped") in await roll(app, end + timedelta(hours=72))
    assert row not in await homes(owner)


async def test_a_day_with_an_unpublished_row_is_kept_and_told_of(
    app: Database, owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    row = await write(owner, noon(today + DAY))
    assert (named(today + DAY), "unpublished") in await roll(app, noon(today + 30 * DAY))
    assert row in await homes(owner)


async def test_a_row_that_left_late_is_kept_as_long_as_the_others(
    app: Database, owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    row = await write(owner, noon(today + DAY), published_at=noon(today + 9 * DAY))
    await roll(app, noon(today + 11 * DAY))
    assert row in await homes(owner)
    assert (named(today + DAY), "dropped") in await roll(app, noon(today + 13 * DAY))


async def test_rows_of_days_that_nobody_made_go_to_their_day_at_the_next_roll(
    app: Database, owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    late = [await write(owner, noon(today + days * DAY)) for days in (6, 6, 7)]
    assert {(await homes(owner))[row] for row in late} == {"outbox_default"}
    await roll(app, noon(today + 7 * DAY))
    found = await homes(owner)
    assert [found[row] for row in late] == [named(today + days * DAY) for days in (6, 6, 7)]
    assert "outbox_default" not in found.values()


async def test_two_replicas_that_roll_at_once_do_it_once(
    app: Database, owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    both = await asyncio.gather(*(roll(app, noon(today + DAY)) for _ in range(6)))
    assert [part for rolled in both for part in rolled] == [(named(today + 4 * DAY), "created")]


async def test_a_transaction_that_stays_open_holds_up_neither_writers_nor_the_days_ahead(
    app: Database, urls: tuple[str, str], owner: asyncpg.Connection
) -> None:
    today = await today_of(owner)
    await write(owner, noon(today + DAY), published_at=noon(today + DAY))
    writer = await asyncpg.connect(urls[1], command_timeout=2)
    async with owner.transaction():
        await write(owner, datetime.now(UTC))  # and does not commit yet
        rolling = asyncio.create_task(roll(app, noon(today + 6 * DAY)))
        while not rolling.done():
            await write(writer, datetime.now(UTC))
        rolled = dict(await rolling)
    await writer.close()
    assert rolled[named(today + DAY)] == "busy"
    assert rolled[named(today + 9 * DAY)] == "created"
    assert (named(today + DAY), "dropped") in await roll(app, noon(today + 6 * DAY))


async def test_the_relay_rolls_when_it_starts_and_says_what_it_could_not_drop(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with database.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS example.outbox_20200101"))
        await outbox.add(tx, UnfurlResolve(link_id=link_id("a"), url="a"))
        old = {"created_at": datetime(2020, 1, 1, tzinfo=UTC), "claimed_until": FAR}
        await tx.execute(outbox.table.update().values(old))
        rolled = await roll_partitions(tx, "example")
    assert rolled == [Rolled("outbox_20200101", "created")]
    said: list[str] = []

    def is_said() -> bool:
        said.extend(capsys.readouterr().out.splitlines())
        return any("outbox.partition_kept" in line and "outbox_20200101" in line for line in said)

    async with messaging():
        await eventually(is_said)


FAR = datetime(2099, 1, 1, tzinfo=UTC)
