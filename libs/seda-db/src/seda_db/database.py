"""Transactions on a pooled engine. `begin` and `begin_driver` are all that commits."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    create_async_engine,
)

from seda_db.after_commit import committed
from seda_db.driver import (
    DriverTransaction,
    OneRead,
    driver_transaction,
    one_read,
    warn_of_slow_query,
)
from seda_db.errors import DatabaseUnavailable

POOL_WAIT_SECONDS_MAX = 5.0


class Database:
    """One service's engine. Make it once in `app.py`; close it last."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=0,
            # The connection used last has its statements prepared and its caches warm.
            pool_use_lifo=True,
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
            committed(session)

    @asynccontextmanager
    async def begin_driver(self, *, first: str | None = None) -> AsyncIterator[DriverTransaction]:
        """As `begin`, without SQLAlchemy between us and the driver: where a transaction's own cost
        is felt, and nowhere else. `first` is run on the way, without values and without an answer.
        """
        async with self._pooled() as pooled, driver_transaction(pooled, first=first) as tx:
            yield tx
        committed(tx)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Several reads of one moment (REPEATABLE READ); what is written here is thrown away."""
        async with _translated(), AsyncSession(self.engine, expire_on_commit=False) as session:
            await _connect(session, "REPEATABLE READ")
            yield session

    @asynccontextmanager
    async def read_once(self) -> AsyncIterator[OneRead]:
        """To `read` what `begin_driver` is to `begin`, for a single statement that reads."""
        async with self._pooled() as pooled, one_read(pooled) as tx:
            yield tx

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator[AsyncConnection]:
        async with _translated(), AsyncExitStack() as stack:
            with _unreachable():
                pooled = await stack.enter_async_context(self.engine.connect())
            yield pooled

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
    """Take a connection and begin."""
    options = {} if isolation is None else {"isolation_level": isolation}
    with _unreachable():
        await session.connection(execution_options=options)


@contextmanager
def _unreachable() -> Iterator[None]:
    """What goes wrong before the first statement is an outage.

    Done before the caller's block, whose own OSErrors (a broker that is away) are not ours.
    """
    try:
        yield
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
        warn_of_slow_query(statement, time.perf_counter() - context.seda_started)
