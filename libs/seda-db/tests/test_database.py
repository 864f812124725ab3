"""A block commits whole or not at all, and a lost server has one name."""

import asyncio
import traceback
from uuid import uuid4

import asyncpg
import pytest
from seda_db import Database, DatabaseUnavailable, StatementFailed, after_commit, table_base
from seda_testkit.postgres import EmbeddedPostgres
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field


async def count(database: Database, body: str) -> int:
    async with database.begin() as tx:
        found = await tx.execute(text("SELECT count(*) FROM note WHERE body = :b"), {"b": body})
        return int(found.scalar_one())


async def write(database: Database, body: str | None) -> None:
    async with database.begin() as tx:
        await tx.execute(text("INSERT INTO note VALUES (:b)"), {"b": body})


async def test_a_block_that_ends_commits(database: Database) -> None:
    body = str(uuid4())
    await write(database, body)
    assert await count(database, body) == 1


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    body = str(uuid4())
    with pytest.raises(RuntimeError, match="no"):
        async with database.begin() as tx:
            await tx.execute(text("INSERT INTO note VALUES (:b)"), {"b": body})
            raise RuntimeError("no")
    assert await count(database, body) == 0


async def test_an_isolation_level_may_be_asked_for_and_still_commits(database: Database) -> None:
    body = str(uuid4())
    async with database.begin(isolation="SERIALIZABLE") as tx:
        level = (await tx.execute(text("SHOW transaction_isolation"))).scalar_one()
        await tx.execute(text("INSERT INTO note VALUES (:b)"), {"b": body})
    assert level == "serializable"
    assert await count(database, body) == 1


async def test_reads_of_one_block_see_one_moment_and_keep_nothing(database: Database) -> None:
    body = str(uuid4())
    query, values = text("SELECT count(*) FROM note WHERE body = :b"), {"b": body}
    async with database.read() as tx:
        before = (await tx.execute(query, values)).scalar_one()
        await write(database, body)
        after = (await tx.execute(query, values)).scalar_one()
    assert (before, after) == (0, 0)
    assert await count(database, body) == 1


async def test_a_broken_rule_of_the_database_stays_its_own_error(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await write(database, None)


async def test_the_pool_says_when_it_is_empty_instead_of_waiting_for_ever(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seda_db.database.POOL_WAIT_SECONDS_MAX", 0.05)
    database = Database(database_url, pool_size=1)
    async with database.begin() as tx:
        await tx.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable, match="in use"):
            await write(database, "x")
    await database.close()


async def test_a_server_that_is_gone_is_unavailable() -> None:
    server = EmbeddedPostgres()
    server.start()
    database = Database(server.admin_url)
    assert await database.ping()
    await database.close()
    server.stop()
    assert not await database.ping()
    with pytest.raises(DatabaseUnavailable):
        await write(database, "x")
    await database.close()


async def test_a_connection_that_breaks_inside_a_block_is_unavailable_too(
    database: Database, database_url: str
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.begin() as tx:
            pid = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            admin = await asyncpg.connect(database_url)
            await admin.execute("SELECT pg_terminate_backend($1)", pid)
            await admin.close()
            await tx.execute(text("SELECT 1"))
    assert await count(database, "any") == 0


async def test_connections_that_the_server_closed_meanwhile_are_replaced_unnoticed(
    database_url: str,
) -> None:
    """As after a restart: the pool is full of dead ones and nobody asks them first."""
    database = Database(database_url, pool_size=3)

    async def pid() -> int:
        async with database.begin() as tx:
            await tx.execute(text("SELECT pg_sleep(0.05)"))
            return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())

    before = set(await asyncio.gather(*(pid() for _ in range(3))))
    admin = await asyncpg.connect(database_url)
    for dead in before:
        assert await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", dead)
    await admin.close()
    after = set(await asyncio.gather(*(pid() for _ in range(3))))
    assert len(before) == len(after) == 3
    assert not before & after
    await database.close()


async def test_an_error_of_the_callers_own_is_not_taken_for_an_outage(database: Database) -> None:
    with pytest.raises(ConnectionError, match="broker"):
        async with database.begin():
            raise ConnectionError("the broker is away")


async def test_the_drivers_own_transactions_commit_whole_or_not_at_all(database: Database) -> None:
    kept, dropped = str(uuid4()), str(uuid4())
    insert = "INSERT INTO note SELECT unnest($1::text[]) RETURNING body"
    async with database.begin_driver() as tx:
        assert await tx.scalar(insert, [kept, "other"]) == kept
        assert await tx.scalar("SELECT 1 WHERE false") is None
    with pytest.raises(RuntimeError, match="no"):
        async with database.begin_driver() as tx:
            await tx.scalar(insert, [dropped])
            raise RuntimeError("no")
    assert (await count(database, kept), await count(database, dropped)) == (1, 0)


async def test_a_statement_of_the_driver_reaches_every_row_though_one_value_is_asked(
    database: Database,
) -> None:
    bodies = [str(uuid4()), str(uuid4())]
    for body in bodies:
        await write(database, body)
    async with database.begin_driver() as tx:
        await tx.scalar("SELECT body FROM note WHERE body = ANY($1) FOR UPDATE", bodies)
        free = text(
            "SELECT count(*) FROM (SELECT FROM note WHERE body = ANY(:b) "
            "FOR UPDATE SKIP LOCKED) AS free"
        )
        async with database.begin() as other:
            assert await other.scalar(free, {"b": bodies}) == 0


async def test_the_driver_takes_the_statements_of_a_session_too(database: Database) -> None:
    statement = text(
        "SELECT CAST(:one AS text) AS body, CAST(:one AS text) || CAST(:other AS text) AS longer"
    )
    values = {"other": "b", "one": "a"}
    async with database.read() as tx:
        (expected,) = await tx.execute(statement, values)
    async with database.read_once() as tx:
        (row,) = await tx.execute(statement, values)
    assert (row.body, row.longer) == (expected.body, expected.longer) == ("a", "ab")
    assert not hasattr(row, "other")


async def test_who_reads_once_cannot_take_two_reads_for_one_moment(database: Database) -> None:
    async with database.read_once() as tx:
        assert await tx.execute(text("SELECT 1 AS one WHERE :no"), {"no": False}) == []
        with pytest.raises(RuntimeError, match="not of one moment"):
            await tx.execute(text("SELECT 1 AS one WHERE :no"), {"no": False})


async def test_what_goes_along_with_the_begin_is_in_the_transaction(database: Database) -> None:
    kept, dropped = str(uuid4()), str(uuid4())
    first = "INSERT INTO note VALUES ('{}'); SELECT set_config('seda.first', 'here', true)"
    async with database.begin_driver(first=first.format(kept)) as tx:
        assert await tx.scalar("SELECT current_setting('seda.first')") == "here"
        assert await count(database, kept) == 0
    with pytest.raises(RuntimeError, match="no"):
        async with database.begin_driver(first=first.format(dropped)):
            raise RuntimeError("no")
    with pytest.raises(StatementFailed):
        async with database.begin_driver(first=f"{first.format(dropped)}; SELECT 1 / 0"):
            pass
    assert (await count(database, kept), await count(database, dropped)) == (1, 0)


async def test_a_server_that_is_gone_is_unavailable_to_the_driver_too() -> None:
    server = EmbeddedPostgres()
    server.start()
    database = Database(server.admin_url)
    async with database.begin_driver() as tx:
        assert await tx.scalar("SELECT 1") == 1
    with pytest.raises(DatabaseUnavailable):
        async with database.begin_driver() as tx:
            server.stop()
            await tx.scalar("SELECT 1")
    with pytest.raises(DatabaseUnavailable):
        async with database.begin_driver():
            pass
    await database.close()


async def test_what_the_server_refuses_is_told_without_the_row(database: Database) -> None:
    async with database.begin_driver() as tx:
        await tx.scalar("CREATE UNIQUE INDEX one_of_each ON note (body)")
        await tx.scalar("INSERT INTO note VALUES ('secret')")
    try:
        with pytest.raises(StatementFailed) as caught:
            async with database.begin_driver() as tx:
                await tx.scalar("INSERT INTO note VALUES ($1)", "secret")
        told = "".join(traceback.format_exception(caught.value))
        assert "UniqueViolationError 23505 (one_of_each)" in told
        assert "already exists" not in told
    finally:
        async with database.begin_driver() as tx:
            await tx.scalar("DROP INDEX one_of_each")


async def test_who_is_cut_off_in_a_transaction_of_the_driver_leaves_nobody_inside_it(
    database_url: str,
) -> None:
    """Twice, the second time while it rolls back."""
    database, body = Database(database_url, pool_size=1), str(uuid4())

    async def stay() -> None:
        async with database.begin_driver() as tx:
            await tx.scalar("INSERT INTO note VALUES ($1)", body)
            is_inside.set()
            await tx.scalar("SELECT pg_sleep(60)")

    for cuts in (1, 2):
        is_inside = asyncio.Event()
        staying = asyncio.create_task(stay())
        await asyncio.wait_for(is_inside.wait(), 10)
        for _ in range(cuts):
            staying.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await staying
        assert await count(database, body) == 0
        async with database.begin_driver() as tx:
            assert await tx.scalar("SELECT count(*) FROM note WHERE body = $1", body) == 0
    await database.close()


@pytest.mark.parametrize("begin", ["begin", "begin_driver"])
async def test_what_is_put_off_happens_after_the_commit_in_its_order(
    database: Database, begin: str
) -> None:
    heard: list[str] = []
    with pytest.raises(RuntimeError, match="no"):
        async with getattr(database, begin)() as tx:
            after_commit(tx, lambda: heard.append("never"))
            raise RuntimeError("no")
    async with getattr(database, begin)() as tx:
        after_commit(tx, lambda: heard.append("first"))
        after_commit(tx, lambda: heard.append("second"))
        assert heard == []
    assert heard == ["first", "second"]


def test_two_services_in_one_process_do_not_share_metadata() -> None:
    one, other = table_base("one"), table_base("other")

    class Thing(one, table=True):  # type: ignore[valid-type,misc,call-arg]
        __tablename__ = "thing"
        id: int = Field(primary_key=True)

    assert list(one.metadata.tables) == ["one.thing"]
    assert list(other.metadata.tables) == []
