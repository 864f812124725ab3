"""An inbox row goes when its event can come no more, and not before."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from seda_contracts.events.unfurl import UnfurlResolve
from seda_contracts.streams import STREAMS
from seda_db import Database
from seda_messaging import Delivery, Outbox, Subscription, inbox
from seda_messaging.inbox import forget
from seda_runtime.ids import lowest_id_at, uuid7
from seda_testkit.eventually import eventually
from sqlalchemy import Table, insert, select

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CONSUMER = "track-unfurl.links"
Messaging = Callable[..., AbstractAsyncContextManager[None]]


def id_at(moment: datetime) -> UUID:
    return UUID(int=lowest_id_at(moment).int | (uuid7().int & (2**80 - 1)))


@pytest.fixture
def table(outbox: Outbox) -> Table:
    return outbox.table.metadata.tables["example.inbox"]


async def arrive(
    database: Database, table: Table, made: datetime, received: datetime, consumer: str = CONSUMER
) -> UUID:
    event_id = id_at(made)
    async with database.begin() as tx:
        values = {"consumer": consumer, "event_id": event_id, "received_at": received}
        await tx.execute(insert(table).values(values))
    return event_id


async def kept(database: Database, table: Table) -> set[UUID]:
    async with database.begin() as tx:
        return set((await tx.execute(select(table.c.event_id))).scalars())


async def test_only_what_arrived_before_that_moment_goes_and_only_of_that_consumer(
    database: Database, table: Table
) -> None:
    await arrive(database, table, NOON - 3 * DAY, NOON - 2 * DAY)
    stays = {
        await arrive(database, table, NOON, NOON + DAY),
        # It waited long for a broker: it may be sent again like any that came today.
        await arrive(database, table, NOON - 30 * DAY, NOON + DAY),
        await arrive(database, table, NOON - 3 * DAY, NOON - 2 * DAY, "track-unfurl.shares"),
    }
    assert await forget(database, table, CONSUMER, before=NOON) == 1
    assert await kept(database, table) == stays
    assert await forget(database, table, CONSUMER, before=NOON) == 0


async def test_a_backlog_goes_in_short_transactions(
    database: Database, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "FORGET_ROWS_MAX", 2)
    for _ in range(5):
        await arrive(database, table, NOON - DAY, NOON - DAY)
    counts = [await forget(database, table, CONSUMER, before=NOON) for _ in range(4)]
    assert counts == [2, 2, 1, 0]


async def test_a_running_service_forgets_what_its_stream_has_forgotten_for_a_week(
    messaging: Messaging, database: Database, table: Table
) -> None:
    age = next(s.max_age_seconds for s in STREAMS if s.name == "CMD_UNFURL")
    past = datetime.now(UTC) - timedelta(seconds=age) - 7 * DAY
    await arrive(database, table, past - DAY, past - DAY)
    stays = {await arrive(database, table, past + DAY, past + DAY)}

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None: ...

    async def are_left() -> bool:
        return await kept(database, table) == stays

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER)):
        await eventually(are_left)
