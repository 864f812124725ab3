"""The SQL of blocks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from user_artist.tables import BlockRow, ProfileRow

_PUT = text(
    """
    INSERT INTO user_artist.block (user_id, blocked_id, is_blocked, version, changed_at)
    VALUES (:user_id, :blocked_id, true, 1, :now)
    ON CONFLICT (user_id, blocked_id) DO UPDATE
    SET is_blocked = true, version = block.version + 1,
        changed_at = excluded.changed_at
    WHERE NOT block.is_blocked
    RETURNING version
    """
)

_TAKE_BACK = text(
    """
    UPDATE user_artist.block SET is_blocked = false, version = version + 1, changed_at = :now
    WHERE user_id = :user_id AND blocked_id = :blocked_id AND is_blocked
    RETURNING version
    """
)


async def put(tx: AsyncSession, user_id: UUID, blocked_id: UUID, *, now: datetime) -> int | None:
    """The new version, or None when it was so already."""
    parameters = {"user_id": user_id, "blocked_id": blocked_id, "now": now}
    version: int | None = await tx.scalar(_PUT, parameters)
    return version


async def take_back(
    tx: AsyncSession, user_id: UUID, blocked_id: UUID, *, now: datetime
) -> int | None:
    """The new version, or None when there was nothing to take back."""
    parameters = {"user_id": user_id, "blocked_id": blocked_id, "now": now}
    version: int | None = await tx.scalar(_TAKE_BACK, parameters)
    return version


async def lock_person(tx: AsyncSession, user_id: UUID) -> None:
    """One change of a person's list at a time, so that its limit holds."""
    query = select(ProfileRow.id).where(col(ProfileRow.id) == user_id)
    await tx.execute(query.with_for_update(key_share=True))


async def count(tx: AsyncSession, user_id: UUID) -> int:
    query = select(func.count()).where(
        col(BlockRow.user_id) == user_id, col(BlockRow.is_blocked).is_(True)
    )
    return int(await tx.scalar(query) or 0)


async def blocked(
    tx: AsyncSession, user_id: UUID, *, after_id: UUID | None, limit: int
) -> list[BlockRow]:
    """In the order of ids."""
    query = select(BlockRow).where(
        col(BlockRow.user_id) == user_id, col(BlockRow.is_blocked).is_(True)
    )
    if after_id is not None:
        query = query.where(col(BlockRow.blocked_id) > after_id)
    return list(await tx.scalars(query.order_by(col(BlockRow.blocked_id)).limit(limit)))
