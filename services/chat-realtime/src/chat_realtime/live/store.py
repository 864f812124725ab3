"""The SQL of admission: tickets that were used, sessions that were revoked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from chat_realtime.tables import RevokedSessionRow, UsedTicketRow

REVOCATION_KEPT = timedelta(days=1)
"""Longer than any token lives."""


async def use_ticket(tx: AsyncSession, ticket_id: str, *, expires_at: datetime) -> bool:
    """False when the ticket was used before, on whichever process."""
    statement = (
        insert(UsedTicketRow)
        .values(ticket_id=ticket_id, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(col(UsedTicketRow.ticket_id))
    )
    return await tx.scalar(statement) is not None


async def revoke_session(tx: AsyncSession, session_id: UUID, *, now: datetime) -> None:
    statement = insert(RevokedSessionRow).values(session_id=session_id, revoked_at=now)
    await tx.execute(statement.on_conflict_do_nothing())


async def revoked_among(tx: AsyncSession, session_ids: Sequence[UUID]) -> set[UUID]:
    query = select(RevokedSessionRow.session_id).where(
        col(RevokedSessionRow.session_id).in_(session_ids)
    )
    return set(await tx.scalars(query))


async def forget_expired(tx: AsyncSession, *, now: datetime) -> None:
    """Drop what can no longer be presented anyway."""
    await tx.execute(
        delete(UsedTicketRow).where(col(UsedTicketRow.expires_at) < now - timedelta(minutes=5))
    )
    await tx.execute(
        delete(RevokedSessionRow).where(col(RevokedSessionRow.revoked_at) < now - REVOCATION_KEPT)
    )
