"""The SQL of sessions, and the two columns of an account that a session's tokens repeat."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select as select_columns
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth_gateway.tables import AccountRow, SessionRow


class Standing(NamedTuple):
    """What an account's tokens say of it."""

    role: str
    perm_version: int
    suspended_at: datetime | None = None
    suspended_until: datetime | None = None


def add_session(tx: AsyncSession, session: SessionRow) -> None:
    tx.add(session)


async def session(tx: AsyncSession, session_id: UUID) -> SessionRow | None:
    """Read anew each time: the row may have turned since this transaction saw it."""
    query = select(SessionRow).where(col(SessionRow.id) == session_id)
    return await tx.scalar(query, execution_options={"populate_existing": True})


async def standing(tx: AsyncSession, account_id: UUID) -> Standing:
    """Share-locked: a suspension waits, and then finds every session opened under this look."""
    query = (
        select_columns(
            col(AccountRow.role),
            col(AccountRow.perm_version),
            col(AccountRow.suspended_at),
            col(AccountRow.suspended_until),
        )
        .where(col(AccountRow.id) == account_id)
        .with_for_update(read=True)
    )
    return Standing(*(await tx.execute(query)).one())


async def turn(
    tx: AsyncSession, session_id: UUID, *, presented: int, now: datetime, sealed_key: bytes
) -> bool:
    """Compare-and-set in one statement: of many that present one counter, one turns it."""
    statement = (
        update(SessionRow)
        .where(col(SessionRow.id) == session_id)
        .where(col(SessionRow.counter) == presented)
        .where(col(SessionRow.ended_at).is_(None))
        .values(counter=presented + 1, turned_at=now, last_used_at=now, sealed_key=sealed_key)
        .returning(col(SessionRow.id))
        .execution_options(synchronize_session=False)
    )
    return (await tx.execute(statement)).first() is not None


async def end(
    tx: AsyncSession, session_ids: Sequence[UUID], *, reason: str, now: datetime
) -> list[UUID]:
    """End those that have not ended yet; returns them, so that each end is told once."""
    statement = (
        update(SessionRow)
        .where(col(SessionRow.id).in_(session_ids))
        .where(col(SessionRow.ended_at).is_(None))
        .values(ended_at=now, end_reason=reason)
        .returning(col(SessionRow.id))
        .execution_options(synchronize_session=False)
    )
    return list((await tx.execute(statement)).scalars())


async def live_sessions(
    tx: AsyncSession, account_id: UUID, *, used_after: datetime, created_after: datetime
) -> Sequence[SessionRow]:
    """Newest first; those past their idle or absolute time are not live."""
    query = (
        select(SessionRow)
        .where(col(SessionRow.account_id) == account_id)
        .where(col(SessionRow.ended_at).is_(None))
        .where(col(SessionRow.last_used_at) > used_after)
        .where(col(SessionRow.created_at) > created_after)
        .order_by(col(SessionRow.id).desc())
    )
    return (await tx.scalars(query)).all()
