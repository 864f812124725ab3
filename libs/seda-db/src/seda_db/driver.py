"""A transaction of the driver alone, for the few statements that a busy room is slow by.

SQLAlchemy's share of a transaction is up to two milliseconds of processor time, as much as all the
rest of a small one. What is asked and answered here is SQL and documents.
"""

import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any

import asyncpg
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from seda_db.errors import DatabaseUnavailable, StatementFailed

log = logging.getLogger(__name__)
SLOW_QUERY_SECONDS = 1.0
"""Mission DB-05: a query slower than this is warned about."""
LOST = (
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
)


class Row(asyncpg.Record):
    """Columns as attributes, as SQLAlchemy's rows have them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class DriverTransaction:
    """Statements are prepared once per connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.info: dict[Any, Any] = {}

    async def scalar(self, statement: str, *values: Any) -> Any:
        """The first column of the first row, None without rows. With `$1` in the statement."""
        # Not `fetchval`, which stops the statement after one row: others would not be locked.
        with _warned_of(statement):
            rows = await self._connection.fetch(statement, *values)
        return rows[0][0] if rows else None


class OneRead:
    """One statement sees one moment by itself, and is spared the two round trips that a
    transaction around it takes.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_done = False

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The rows of what is written with `:name`, as a session takes it too."""
        if self._is_done:
            raise RuntimeError("two reads are not of one moment: `Database.read` is for them")
        self._is_done = True
        asked, names = _positional(statement)
        values = (parameters[name] for name in names)
        with _warned_of(asked):
            rows: list[Any] = await self._connection.fetch(asked, *values, record_class=Row)
        return rows


@cache
def _positional(statement: TextClause) -> tuple[str, tuple[str, ...]]:
    """For statements that are constants of a module: each is kept for ever."""
    compiled = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
    return compiled.string, tuple(compiled.positiontup or ())


@asynccontextmanager
async def driver_transaction(
    pooled: AsyncConnection, *, first: str | None
) -> AsyncIterator[DriverTransaction]:
    """Commits when the block ends, rolls back when it raises. `first` travels with the BEGIN."""
    async with _driver(pooled) as driver:
        try:
            begin = "BEGIN" if first is None else f"BEGIN; {first}"
            with _warned_of(begin):
                await driver.execute(begin)
            yield DriverTransaction(driver)
        except BaseException:
            await driver.execute("ROLLBACK")
            raise
        await driver.execute("COMMIT")


@asynccontextmanager
async def one_read(pooled: AsyncConnection) -> AsyncIterator[OneRead]:
    async with _driver(pooled) as driver:
        yield OneRead(driver)


@asynccontextmanager
async def _driver(pooled: AsyncConnection) -> AsyncIterator[Any]:
    """Raises StatementFailed for what the server refuses, and DatabaseUnavailable when the
    connection is lost; then nothing was committed, unless it broke during the commit itself.
    """
    driver: Any = (await pooled.get_raw_connection()).driver_connection
    try:
        yield driver
    except LOST as error:
        raise DatabaseUnavailable("the database is not reachable") from error
    except asyncpg.PostgresError as error:
        if driver.is_closed():
            raise DatabaseUnavailable("the database connection was lost") from error
        # Not as its cause: the driver's error tells the whole row, and errors are logged.
        raise StatementFailed(error) from None
    finally:
        if driver.is_in_transaction():
            # Cut off during the rollback: the pool knows nothing of this transaction, and the next
            # who is given the connection would be in it.
            await pooled.invalidate()


@contextmanager
def _warned_of(statement: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        warn_of_slow_query(statement, time.perf_counter() - started)


def warn_of_slow_query(statement: str, seconds: float) -> None:
    if seconds > SLOW_QUERY_SECONDS:
        log.warning("slow query, %.0f ms: %s", seconds * 1000, statement[:500])
