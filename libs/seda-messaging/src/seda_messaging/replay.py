"""Say again what a broker has lost, from the rows that are kept; and say how the outbox stands.

A replay only marks rows as unpublished. The service's own relay sends them, with the ids they had:
what the broker still knows it drops, and an inbox lets nothing take effect twice.
"""

from datetime import datetime

import msgspec
from seda_contracts.registry import BY_TYPE
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seda_messaging.tables import outbox_of

STATEMENT_SECONDS_MAX = 600
"""Days of events take longer than what a request may."""


class OutboxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the outbox of one service stands."""

    waiting: int
    """Events that are committed and not published."""
    oldest_waiting_seconds: float | None
    refused: int
    """Those among them that the broker has said it does not take."""
    published_kept: int
    """Events that a replay could say again."""
    kept_since: datetime | None
    """When the oldest of these was published."""
    last_error: str | None
    """Why the latest of the waiting events that was tried did not leave."""


async def replay(
    tx: AsyncSession,
    schema: str,
    *,
    since: datetime,
    until: datetime | None = None,
    type: str | None = None,
) -> int:
    """Have what was published from `since` to before `until` published again. Returns how many.

    Raises ValueError for a moment without a time zone, and for a type that no contract has.
    """
    if since.tzinfo is None or (until is not None and until.tzinfo is None):
        raise ValueError("a replay needs moments with a time zone")
    if type is not None and type not in BY_TYPE:
        raise ValueError(f"{type} is not an event, command or state of the contracts")
    outbox = outbox_of(schema)
    row = outbox.c
    # By the time of publishing: what waited for an hour was lost with what was written later. It
    # was written before it was published, so later days need not be looked at.
    statement = (
        update(outbox)
        .where(row.published_at >= since)
        .values(published_at=None, claimed_until=None, attempts=0, last_error=None)
    )
    if until is not None:
        statement = statement.where(row.published_at < until, row.created_at < until)
    if type is not None:
        statement = statement.where(row.headers["ce-type"].astext == type)
    await tx.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS_MAX}s'"))
    return (await (await tx.connection()).execute(statement)).rowcount


async def outbox_status(tx: AsyncSession, schema: str) -> OutboxStatus:
    row = outbox_of(schema).c
    is_waiting = row.published_at.is_(None)
    counts = select(
        func.count().filter(is_waiting),
        func.extract("epoch", func.now() - func.min(row.created_at).filter(is_waiting)),
        func.count().filter(is_waiting, row.refused_at.is_not(None)),
        func.count().filter(row.published_at.is_not(None)),
        func.min(row.published_at),
    )
    waiting, oldest, refused, kept, since = (await tx.execute(counts)).one()
    latest_error = (
        select(row.last_error)
        .where(is_waiting, row.last_error.is_not(None))
        .order_by(row.claimed_until.desc().nulls_last())
        .limit(1)
    )
    return OutboxStatus(
        waiting=waiting,
        oldest_waiting_seconds=None if oldest is None else round(float(oldest), 3),
        refused=refused,
        published_kept=kept,
        kept_since=since,
        last_error=(await tx.execute(latest_error)).scalar_one_or_none(),
    )
