"""A transaction of the driver alone, for the few statements that a busy room is slow by.

SQLAlchemy's share of a transaction is up to two milliseconds of processor time, as much as all the
rest of a small one. What is asked and answered here is SQL and documents.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
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


class DriverTransaction:
    """Statements with `$1`, prepared once per connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.info: dict[Any, Any] = {}

    async def scalar(self, statement: str, *values: Any) -> Any:
        """The first column of the first row, None without rows."""
        started = time.perf_counter()
        try:
            # Not `fetchval`, which stops the statement after one row: others would not be locked.
            rows = await self._connection.fetch(statement, *values)
        finally:
            warn_of_slow_query(statement, time.perf_counter() - started)
        return rows[0][0] if rows else None


@asynccontextmanager
async def driver_transaction(pooled: AsyncConnection) -> AsyncIterator[DriverTransaction]:
    """Commits when the block ends, rolls back when it raises.

    Raises StatementFailed for what the server refuses, and DatabaseUnavailable when the connection
    is lost; then nothing was committed, unless it broke during the commit itself.
    """
    driver: Any = (await pooled.get_raw_connection()).driver_connection
    try:
        async with driver.transaction():
            yield DriverTransaction(driver)
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


def warn_of_slow_query(statement: str, seconds: float) -> None:
    if seconds > SLOW_QUERY_SECONDS:
        log.warning("slow query, %.0f ms: %s", seconds * 1000, statement[:500])
