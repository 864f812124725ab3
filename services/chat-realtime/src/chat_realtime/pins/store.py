"""The SQL of pins."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from chat_realtime.tables import PinRow


async def add(
    tx: AsyncSession, *, room_id: UUID, message_id: UUID, pinned_by: UUID, now: datetime
) -> bool:
    """False when it was pinned already."""
    values = {"room_id": room_id, "message_id": message_id, "pinned_by": pinned_by}
    statement = insert(PinRow).values(**values, pinned_at=now).on_conflict_do_nothing()
    return await tx.scalar(statement.returning(col(PinRow.message_id))) is not None


async def remove(tx: AsyncSession, room_id: UUID, message_id: UUID) -> bool:
    """False when it was not pinned."""
    statement = delete(PinRow).where(
        col(PinRow.room_id) == room_id, col(PinRow.message_id) == message_id
    )
    return await tx.scalar(statement.returning(col(PinRow.message_id))) is not None


async def count(tx: AsyncSession, room_id: UUID) -> int:
    return int(await tx.scalar(select(func.count()).where(col(PinRow.room_id) == room_id)) or 0)


async def pinned(tx: AsyncSession, room_id: UUID) -> list[UUID]:
    """Newest pin first."""
    query = select(PinRow.message_id).where(col(PinRow.room_id) == room_id)
    return list(
        await tx.scalars(query.order_by(col(PinRow.pinned_at).desc(), col(PinRow.message_id)))
    )
