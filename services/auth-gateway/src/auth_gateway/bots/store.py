"""The SQL of bots and keys."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import or_, update
from sqlalchemy import select as select_columns
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth_gateway.tables import AccountRow, ApiKeyRow, BotRow


class Held(NamedTuple):
    """A live key with what its bot is."""

    bot_id: UUID
    perm_version: int
    secret_hash: bytes
    scopes: frozenset[str]
    expires_at: datetime | None
    last_used_on: date | None


async def lock_owner(tx: AsyncSession, owner_id: UUID) -> None:
    """So that two requests at once do not pass the limit together."""
    query = select_columns(col(AccountRow.id)).where(col(AccountRow.id) == owner_id)
    await tx.execute(query.with_for_update())


async def bots_of(tx: AsyncSession, owner_id: UUID) -> Sequence[BotRow]:
    query = select(BotRow).where(col(BotRow.owner_id) == owner_id, col(BotRow.deleted_at).is_(None))
    return (await tx.scalars(query.order_by(col(BotRow.id)))).all()


async def bot_for_update(tx: AsyncSession, owner_id: UUID, bot_id: UUID) -> BotRow | None:
    query = select(BotRow).where(
        col(BotRow.id) == bot_id,
        col(BotRow.owner_id) == owner_id,
        col(BotRow.deleted_at).is_(None),
    )
    return await tx.scalar(query.with_for_update())


async def live_keys(tx: AsyncSession, bot_id: UUID) -> Sequence[ApiKeyRow]:
    query = select(ApiKeyRow).where(
        col(ApiKeyRow.bot_id) == bot_id, col(ApiKeyRow.revoked_at).is_(None)
    )
    return (await tx.scalars(query.order_by(col(ApiKeyRow.id)))).all()


async def held(tx: AsyncSession, key_id: UUID, *, now: datetime) -> Held | None:
    """None for what opens nothing: revoked, expired, or its bot or its owner is suspended."""
    query = (
        select_columns(
            col(BotRow.id),
            col(BotRow.perm_version),
            col(ApiKeyRow.secret_hash),
            col(ApiKeyRow.scopes),
            col(ApiKeyRow.expires_at),
            col(ApiKeyRow.last_used_on),
        )
        .join(BotRow, col(BotRow.id) == col(ApiKeyRow.bot_id))
        .join(AccountRow, col(AccountRow.id) == col(BotRow.owner_id))
        .where(
            col(ApiKeyRow.id) == key_id,
            col(ApiKeyRow.revoked_at).is_(None),
            or_(col(ApiKeyRow.expires_at).is_(None), col(ApiKeyRow.expires_at) > now),
            col(BotRow.deleted_at).is_(None),
            *(
                or_(col(row.suspended_at).is_(None), col(row.suspended_until) <= now)
                for row in (BotRow, AccountRow)
            ),
        )
    )
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    return Held(row[0], row[1], row[2], frozenset(row[3]), row[4], row[5])


async def mark_used(tx: AsyncSession, key_id: UUID, *, on: date) -> None:
    await tx.execute(
        update(ApiKeyRow)
        .where(col(ApiKeyRow.id) == key_id)
        .values(last_used_on=on)
        .execution_options(synchronize_session=False)
    )
