"""The consumer's side of exactly-once effect: one row per event, in the effect's transaction.

A row is kept for as long as its stream could send the event again, and a week.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import msgspec
from seda_contracts.streams import Stream
from seda_db import Database, DatabaseUnavailable
from seda_runtime.clock import utc_now
from seda_runtime.failpoints import failpoint
from seda_runtime.ids import lowest_id_at
from seda_runtime.logging import get_logger
from sqlalchemy import Executable, Table, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seda_messaging.cancellation import still_wanted

log = get_logger(__name__)
KEPT_BEYOND_STREAM = timedelta(days=7)
"""A replay says again what is at most some days old; this is more."""
FORGET_SECONDS = 3_600.0
FORGET_ROWS_MAX = 5_000
"""Of one transaction, so that it is short."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One arrival of an event at one consumer."""

    event_id: UUID
    type: str
    subject: str
    consumer: str
    attempt: int
    """1 for the first arrival."""
    headers: Mapping[str, str]
    inbox: Table


async def first_delivery(tx: AsyncSession, delivery: Delivery) -> bool:
    """Record the arrival in `tx`. False when an earlier one has taken effect: then do nothing.

    A second arrival that runs at the same time waits here for the first to commit.
    """
    values = {"consumer": delivery.consumer, "event_id": delivery.event_id}
    is_first = (await tx.execute(_recording(delivery.inbox), values)).first() is not None
    failpoint("inbox.recorded")
    return is_first


@cache
def _recording(inbox: Table) -> Executable:
    """Built once per table: putting the expression together costs as much as running it."""
    return insert(inbox).on_conflict_do_nothing().returning(inbox.c.event_id)


async def forget_hourly(database: Database, inbox: Table, streams: Mapping[str, Stream]) -> None:
    """Delete what is past keeping, by consumer and its stream, until cancelled.

    A stream without an age keeps its rows for ever, as it keeps its messages.
    """
    while still_wanted():
        for consumer, stream in streams.items():
            if not stream.max_age_seconds:
                continue
            kept = timedelta(seconds=stream.max_age_seconds) + KEPT_BEYOND_STREAM
            try:
                while await forget(database, inbox, consumer, before=utc_now() - kept):
                    pass
            except DatabaseUnavailable:
                log.warning("inbox.forget_failed", consumer=consumer)
        await asyncio.sleep(FORGET_SECONDS)


async def forget(database: Database, inbox: Table, consumer: str, *, before: datetime) -> int:
    """Delete some rows of events that arrived before that moment; how many.

    An event is older than its arrival, and its id begins with its time: so the primary key finds
    them, and the arrival decides, since an event may have waited for long in an outbox.
    """
    row = inbox.c
    past = (
        select(row.event_id)
        .where(row.consumer == consumer, row.event_id < lowest_id_at(before))
        .where(row.received_at < before)
        .order_by(row.event_id)
        .limit(FORGET_ROWS_MAX)
    )
    async with database.begin() as tx:
        deleted = await tx.execute(
            delete(inbox)
            .where(row.consumer == consumer, row.event_id.in_(past))
            .returning(row.event_id)
        )
        return len(deleted.all())
