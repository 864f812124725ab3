"""The statements of the relay. All of them read unpublished rows alone, through partial indexes,
and go by the database's clock: replicas compare leases, and rows carry its times.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Select,
    Table,
    Update,
    any_,
    bindparam,
    exists,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

LEASE = timedelta(seconds=8)
"""Longer than one publication may take; a killed process keeps nobody waiting for longer."""
UNCONFIRMED_SECONDS_MAX = 60
REFUSED_SECONDS_MAX = 600
"""Attempts wait 2, 4, 8 … seconds for the next, up to these."""
ERROR_LENGTH_MAX = 500
_WITHOUT_FLUSH = text("SET LOCAL synchronous_commit = off")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way out."""

    id: int
    subject: str
    ordering_key: str
    headers: dict[str, str]
    payload: bytes


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A row without its number, which the database gives. Its names are those of the columns."""

    event_id: UUID
    subject: str
    ordering_key: str
    headers: dict[str, str]
    payload: msgspec.Raw
    """JSON."""

    def row(self, row_id: int) -> Row:
        return Row(
            id=row_id,
            subject=self.subject,
            ordering_key=self.ordering_key,
            headers=self.headers,
            payload=bytes(self.payload),
        )


class Outcome(msgspec.Struct):
    """What became of some rows, by their ids. A row in none of these was not tried."""

    published: list[int] = msgspec.field(default_factory=list)
    unconfirmed: dict[int, str] = msgspec.field(default_factory=dict)
    """With the error. The broker may have it or not; nothing of its key may pass it."""
    refused: dict[int, str] = msgspec.field(default_factory=dict)
    """With the reason. The broker has said that it does not take this one."""


def claimable(outbox: Table, rows_max: int) -> Select[Any]:
    """The oldest rows that nobody holds, of keys of which nobody holds an older one."""
    now, row = func.now(), outbox.c
    held = outbox.alias("held").c
    held_keys = (
        select(held.ordering_key)
        .where(held.published_at.is_(None), held.claimed_until.is_not(None))
        .where(held.claimed_until > now, held.refused_at.is_(None))
    )
    return (
        select(row.id, row.subject, row.ordering_key, row.headers, row.payload)
        .where(row.published_at.is_(None))
        .where(row.claimed_until.is_(None) | (row.claimed_until <= now))
        .where(row.ordering_key.not_in(held_keys))
        .order_by(row.id)
        .limit(rows_max)
        .with_for_update(skip_locked=True)
    )


async def claim(tx: AsyncSession, outbox: Table, rows_max: int) -> list[Row] | None:
    """Lease the oldest unpublished rows; nobody holds a transaction open while publishing.

    One replica claims at a time, so that two never take rows of one key beside each other. None
    when another one is at it.
    """
    name = f"{outbox.schema}.outbox.claim"
    lock = select(func.pg_try_advisory_xact_lock(func.hashtext(name)))
    if not (await tx.execute(lock)).scalar_one():
        return None
    found = (await tx.execute(claimable(outbox, rows_max))).mappings()
    rows = [Row(**row) for row in found]
    if rows:
        await tx.execute(
            _unpublished(outbox, [row.id for row in rows]).values(claimed_until=func.now() + LEASE)
        )
    return rows


async def settle(tx: AsyncSession, outbox: Table, rows: Sequence[Row], outcome: Outcome) -> None:
    """Write down what became of the rows, and give back those that were not tried.

    Not worth a flush of its own: a crash that forgets it makes us publish again, under the same id.
    """
    await tx.execute(_WITHOUT_FLUSH)
    if outcome.published:
        marks = _unpublished(outbox, outcome.published)
        await tx.execute(marks.values(published_at=func.now(), claimed_until=None))
    await _put_off(tx, outbox, outcome.unconfirmed, refused=False)
    await _put_off(tx, outbox, outcome.refused, refused=True)
    tried = {*outcome.published, *outcome.unconfirmed, *outcome.refused}
    untried = [row.id for row in rows if row.id not in tried]
    if untried:
        await tx.execute(_unpublished(outbox, untried).values(claimed_until=None))


async def is_any_held(tx: AsyncSession, outbox: Table) -> bool:
    """Is a row leased by anybody, or waiting for its next attempt? Refused ones hold nobody up."""
    row = outbox.c
    held = exists().where(
        row.published_at.is_(None), row.claimed_until > func.now(), row.refused_at.is_(None)
    )
    return bool((await tx.execute(select(held))).scalar_one())


async def oldest_seconds(tx: AsyncSession, outbox: Table) -> float:
    """Age of the oldest row that is to leave; 0 when there is none. Refused ones do not count."""
    row = outbox.c
    query = (
        select(func.extract("epoch", func.now() - row.created_at))
        .where(row.published_at.is_(None), row.refused_at.is_(None))
        .order_by(row.id)
        .limit(1)
    )
    return float((await tx.execute(query)).scalar_one_or_none() or 0)


async def is_refused_one_due(tx: AsyncSession, outbox: Table) -> bool:
    """Is it time to try one again that the broker refused? It may take it after a change there."""
    row = outbox.c
    due = exists().where(
        row.published_at.is_(None), row.claimed_until <= func.now(), row.refused_at.is_not(None)
    )
    return bool((await tx.execute(select(due))).scalar_one())


async def _put_off(
    tx: AsyncSession, outbox: Table, errors: Mapping[int, str], *, refused: bool
) -> None:
    """Until the next attempt, each time for longer."""
    if not errors:
        return
    row = outbox.c
    seconds_max = REFUSED_SECONDS_MAX if refused else UNCONFIRMED_SECONDS_MAX
    # The power is bounded by itself: after a thousand attempts it would be no number any more.
    seconds = func.least(seconds_max, func.power(2, func.least(row.attempts + 1, 10)))
    refused_at = func.coalesce(row.refused_at, func.now()) if refused else None
    statement = (
        update(outbox)
        .where(row.id == bindparam("row_id"), row.published_at.is_(None))
        .values(
            attempts=row.attempts + 1,
            claimed_until=func.now() + seconds * text("interval '1 second'"),
            last_error=bindparam("error"),
            refused_at=refused_at,
        )
    )
    values = [
        {"row_id": row_id, "error": error[:ERROR_LENGTH_MAX]} for row_id, error in errors.items()
    ]
    connection = await tx.connection()
    await connection.execute(statement, values)


def _unpublished(outbox: Table, ids: Sequence[int]) -> Update:
    # An array, so that the statement is the same for any number of them.
    is_one = outbox.c.id == any_(literal(list(ids), ARRAY(BigInteger)))
    return update(outbox).where(is_one, outbox.c.published_at.is_(None))
