"""Transactions on a pooled engine. `begin` is the only place that commits."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

log = logging.getLogger(__name__)
SLOW_QUERY_SECONDS = 1.0
"""Mission DB-05: a query slower than this is warned about."""
POOL_WAIT_SECONDS_MAX = 5.0


class DatabaseUnavailable(ConnectionError):
    """PostgreSQL did not answer, or every connection of the pool is taken. Worth a retry."""


class Database:
    """One service's engine. Make it once in `app.py`; close it last."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS_MAX,
            hide_parameters=True,  # errors are logged, and what people wrote must not be
            connect_args={"timeout": 5, "server_settings": {"timezone": "UTC"}},
        )
        _replace_closed_connections(self.engine)
        _warn_of_slow_queries(self.engine)

    @asynccontextmanager
    async def begin(self, *, isolation: str | None = None) -> AsyncIterator[AsyncSession]:
        """One transaction: commits when the block ends, rolls back when it raises.

        Raises DatabaseUnavailable when the server cannot be reached; then nothing was committed,
        unless the connection broke during the commit itself.
        """
        async with _translated(), AsyncSession(self.engine, expire_on_commit=False) as session:
            await _connect(session, isolation)
            async with _commit(session):
                yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Several reads of one moment (REPEATABLE READ); what is written here is thrown away."""
        async with _translated(), AsyncSession(self.engine, expire_on_commit=False) as session:
            await _connect(session, "REPEATABLE READ")
            yield session

    async def ping(self) -> bool:
        try:
            async with self.begin() as tx:
                await tx.execute(text("SELECT 1"))
        except DatabaseUnavailable:
            return False
        return True

    async def close(self) -> None:
        await self.engine.dispose()


async def _connect(session: AsyncSession, isolation: str | None) -> None:
    """Take a connection and begin. What goes wrong before the first statement is an outage.

    Done before the caller's block, whose own OSErrors (a broker that is away) are not ours.
    """
    options = {} if isolation is None else {"isolation_level": isolation}
    try:
        await session.connection(execution_options=options)
    except (OSError, TimeoutError, DBAPIError) as error:
        raise DatabaseUnavailable("the database is not reachable") from error


@asynccontextmanager
async def _commit(session: AsyncSession) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await session.rollback()
        raise
    await session.commit()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (InterfaceError, OperationalError) as error:
        raise DatabaseUnavailable("the database is not reachable") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable("the database connection was lost") from error
        raise
    except PoolTimeoutError as error:
        raise DatabaseUnavailable("every database connection is in use") from error


def async_url(url: str) -> str:
    """`postgresql://` as people write it, for the asyncpg driver."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


def _replace_closed_connections(engine: AsyncEngine) -> None:
    """Heal the pool after a restart of the server without asking it before every transaction: the
    driver knows by itself that a connection was closed (`pool_pre_ping` costs an eighth of what a
    consumer does, and finds no more of what fails in silence).
    """

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, _: Any, __: Any) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("closed by the server")


def _warn_of_slow_queries(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def start(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        context.seda_started = time.perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def finish(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
        seconds = time.perf_counter() - context.seda_started
        if seconds > SLOW_QUERY_SECONDS:
            log.warning("slow query, %.0f ms: %s", seconds * 1000, statement[:500])
