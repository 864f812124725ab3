"""The SQL of invites."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from chat_realtime.tables import InviteRow

_IS_OPEN = "invite.uses_left > 0 AND invite.expires_at > :now"

# From people whom the invited has blocked nothing is shown; they do not learn of it.
_FOR_PERSON = f"""
    SELECT invite.id, invite.room_id, room.name AS room_name, room.description, room.is_private,
           invite.created_by, invite.expires_at, (
               SELECT count(*) FROM chat.membership
               WHERE membership.room_id = room.id AND left_at IS NULL AND banned_at IS NULL
           ) AS members
    FROM chat.invite JOIN chat.room ON room.id = invite.room_id
    WHERE {_IS_OPEN} AND NOT EXISTS (
        SELECT FROM chat.block
        WHERE block.user_id = :user_id AND block.blocked_id = invite.created_by AND is_blocked)
"""  # noqa: S608 - put together from our own constant

_MINE = text(f"{_FOR_PERSON} AND invite.user_id = :user_id ORDER BY invite.id LIMIT :limit")

_BY_CODE = text(
    f"""{_FOR_PERSON} AND invite.code_sha256 = :code_sha256
    AND (invite.user_id IS NULL OR invite.user_id = :user_id)"""
)

_BY_ID = text(f"{_FOR_PERSON} AND invite.id = :invite_id AND invite.user_id = :user_id")

_USE = text(
    f"""
    UPDATE chat.invite SET uses_left = uses_left - 1
    WHERE id = :invite_id AND {_IS_OPEN}
    RETURNING id
    """  # noqa: S608 - put together from our own constant
)


class ShownInvite(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody who holds an invite may know of the room before they come in."""

    id: UUID
    room_id: UUID
    room_name: str
    description: str
    is_private: bool
    created_by: UUID
    expires_at: datetime
    members: int


async def mine(tx: AsyncSession, user_id: UUID, *, now: datetime, limit: int) -> list[ShownInvite]:
    """Open ones for this person alone."""
    rows = await tx.execute(_MINE, {"user_id": user_id, "now": now, "limit": limit})
    return [_shown(row) for row in rows]


async def by_code(
    tx: AsyncSession, code_sha256: bytes, user_id: UUID, *, now: datetime
) -> ShownInvite | None:
    parameters = {"code_sha256": code_sha256, "user_id": user_id, "now": now}
    row = (await tx.execute(_BY_CODE, parameters)).first()
    return None if row is None else _shown(row)


async def by_id(
    tx: AsyncSession, invite_id: UUID, user_id: UUID, *, now: datetime
) -> ShownInvite | None:
    """One for this person alone."""
    parameters = {"invite_id": invite_id, "user_id": user_id, "now": now}
    row = (await tx.execute(_BY_ID, parameters)).first()
    return None if row is None else _shown(row)


async def use(tx: AsyncSession, invite_id: UUID, *, now: datetime) -> bool:
    """False when it was used up, revoked or ran out meanwhile."""
    return await tx.scalar(_USE, {"invite_id": invite_id, "now": now}) is not None


async def of_room(tx: AsyncSession, room_id: UUID, *, now: datetime) -> list[InviteRow]:
    """Open ones, oldest first."""
    query = select(InviteRow).where(
        col(InviteRow.room_id) == room_id,
        col(InviteRow.uses_left) > 0,
        col(InviteRow.expires_at) > now,
    )
    return list(await tx.scalars(query.order_by(col(InviteRow.id))))


async def count_open(tx: AsyncSession, room_id: UUID, *, now: datetime) -> int:
    query = select(func.count()).where(
        col(InviteRow.room_id) == room_id,
        col(InviteRow.uses_left) > 0,
        col(InviteRow.expires_at) > now,
    )
    return int(await tx.scalar(query) or 0)


async def remove(tx: AsyncSession, room_id: UUID, invite_id: UUID) -> bool:
    statement = delete(InviteRow).where(
        col(InviteRow.room_id) == room_id, col(InviteRow.id) == invite_id
    )
    return await tx.scalar(statement.returning(col(InviteRow.id))) is not None


async def forget_expired(tx: AsyncSession, *, now: datetime) -> None:
    await tx.execute(delete(InviteRow).where(col(InviteRow.expires_at) <= now))


def _shown(row: Any) -> ShownInvite:
    return msgspec.convert(row._asdict(), ShownInvite)
