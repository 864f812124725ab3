"""The consumer's side of exactly-once effect: one row per event, in the effect's transaction."""

from collections.abc import Mapping
from functools import cache
from uuid import UUID

import msgspec
from seda_runtime.failpoints import failpoint
from sqlalchemy import Executable, Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession


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
