"""The SQL of rooms and memberships."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from chat_realtime.people.store import CARD_SQL
from chat_realtime.rooms.domain import RoleName, Standing
from chat_realtime.tables import MembershipRow, RoomRow

STANDING_COLUMNS = """
    room.id AS room_id, asked.user_id, room.is_private, room.archived, room.locked,
    room.slow_mode_seconds, membership.role, membership.left_at, membership.last_sent_at,
    greatest(membership.muted_until, global_mute.muted_until) AS muted_until,
    membership.banned_at, membership.banned_until
"""
STANDING_JOINS = """
    JOIN chat.room ON room.id = asked.room_id
    LEFT JOIN chat.membership
        ON membership.room_id = asked.room_id AND membership.user_id = asked.user_id
    LEFT JOIN chat.global_mute ON global_mute.user_id = asked.user_id
"""
"""For `asked(room_id, user_id)`; no row when there is no such room."""

_STANDINGS = text(
    f"""
    SELECT {STANDING_COLUMNS}
    FROM unnest(CAST(:room_ids AS uuid[]), CAST(:user_ids AS uuid[])) AS asked(room_id, user_id)
    {STANDING_JOINS}
    """  # noqa: S608 - put together from our own constants
)

_LISTED = text(
    """
    SELECT room.id, room.name, room.description, room.is_private, room.archived, room.locked,
           room.slow_mode_seconds, room.created_by, room.created_at, room.last_seq, room.epoch,
           membership.role, membership.read_seq
    FROM chat.room
    LEFT JOIN chat.membership
        ON membership.room_id = room.id AND membership.user_id = :user_id
        AND membership.left_at IS NULL AND membership.banned_at IS NULL
    WHERE (NOT room.is_private OR membership.user_id IS NOT NULL)
      AND (NOT :mine OR membership.user_id IS NOT NULL)
      AND (CAST(:after_id AS uuid) IS NULL OR room.id > CAST(:after_id AS uuid))
    ORDER BY room.id
    LIMIT :limit
    """
)

_MEMBERS = text(
    f"""
    SELECT asked.user_id, asked.role, asked.joined_at, asked.muted_until, {CARD_SQL} AS person
    FROM chat.membership AS asked
    LEFT JOIN chat.person ON person.user_id = asked.user_id
    WHERE asked.room_id = :room_id AND asked.left_at IS NULL AND asked.banned_at IS NULL
      AND (CAST(:handle_pattern AS text) IS NULL OR person.handle LIKE :handle_pattern)
      AND (CAST(:after_id AS uuid) IS NULL OR asked.user_id > CAST(:after_id AS uuid))
    ORDER BY asked.user_id
    LIMIT :limit
    """  # noqa: S608 - put together from our own constant
)

_PERMITTED = text(
    """
    SELECT user_id FROM chat.membership
    WHERE room_id = :room_id AND user_id = ANY(CAST(:user_ids AS uuid[]))
      AND left_at IS NULL
      AND (banned_at IS NULL OR banned_until <= :now)
    """
)

_ROOMS_OF = text(
    """
    SELECT room_id FROM chat.membership
    WHERE user_id = :user_id AND room_id = ANY(CAST(:room_ids AS uuid[]))
      AND left_at IS NULL AND banned_at IS NULL
    """
)


class ListedRoom(msgspec.Struct, frozen=True, kw_only=True):
    """A room as one person sees it; `role` is absent for rooms they have not joined."""

    id: UUID
    name: str
    description: str
    is_private: bool
    archived: bool
    locked: bool
    slow_mode_seconds: int
    created_by: UUID
    created_at: datetime
    last_seq: int
    epoch: str
    role: RoleName | None = None
    read_seq: int | None = None


class ListedMember(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    role: RoleName
    joined_at: datetime
    muted_until: datetime | None
    person: dict[str, Any]


async def lock_room(tx: AsyncSession, room_id: UUID) -> RoomRow | None:
    """Every change of a room starts here, so what is checked afterwards stays true."""
    query = select(RoomRow).where(col(RoomRow.id) == room_id).with_for_update(key_share=True)
    return await tx.scalar(query)


async def room(tx: AsyncSession, room_id: UUID) -> RoomRow | None:
    return await tx.get(RoomRow, room_id)


async def standing(
    tx: AsyncSession, room_id: UUID, user_id: UUID, *, is_platform_admin: bool = False
) -> Standing | None:
    """None when there is no such room."""
    who = (room_id, user_id)
    return (await standings(tx, {who: is_platform_admin})).get(who)


async def standings(
    tx: AsyncSession, is_platform_admin: Mapping[tuple[UUID, UUID], bool]
) -> dict[tuple[UUID, UUID], Standing]:
    """How people stand, by room and person. A room that is not there is left out."""
    parameters = {
        "room_ids": [room_id for room_id, _ in is_platform_admin],
        "user_ids": [user_id for _, user_id in is_platform_admin],
    }
    return {
        (who := (row.room_id, row.user_id)): standing_in(
            row, is_platform_admin=is_platform_admin[who]
        )
        for row in await tx.execute(_STANDINGS, parameters)
    }


def standing_in(row: Any, *, is_platform_admin: bool) -> Standing:
    """From a row with STANDING_COLUMNS."""
    return Standing(
        is_private=row.is_private,
        archived=row.archived,
        role=row.role,
        has_left=row.left_at is not None,
        muted_until=row.muted_until,
        locked=row.locked,
        slow_mode_seconds=row.slow_mode_seconds,
        last_sent_at=row.last_sent_at,
        banned=row.banned_at is not None,
        banned_until=row.banned_until,
        is_platform_admin=is_platform_admin,
    )


async def membership(tx: AsyncSession, room_id: UUID, user_id: UUID) -> MembershipRow | None:
    return await tx.get(MembershipRow, (room_id, user_id))


async def owner(tx: AsyncSession, room_id: UUID) -> UUID:
    query = select(MembershipRow.user_id).where(
        col(MembershipRow.room_id) == room_id, col(MembershipRow.role) == "owner"
    )
    return (await tx.scalars(query)).one()


async def move_read_mark(
    tx: AsyncSession, room_id: UUID, user_id: UUID, *, seq: int
) -> tuple[int, int]:
    """Forward only. Where it stood and where it stands; nobody else moves it meanwhile."""
    row = await tx.get(MembershipRow, (room_id, user_id), with_for_update=True)
    assert row is not None
    before, row.read_seq = row.read_seq, max(row.read_seq, seq)
    return before, row.read_seq


async def listed_rooms(
    tx: AsyncSession, user_id: UUID, *, mine: bool, after_id: UUID | None, limit: int
) -> list[ListedRoom]:
    parameters = {"user_id": user_id, "mine": mine, "after_id": after_id, "limit": limit}
    rows = await tx.execute(_LISTED, parameters)
    return [msgspec.convert(row._asdict(), ListedRoom, strict=False) for row in rows]


async def listed_members(
    tx: AsyncSession, room_id: UUID, *, prefix: str | None, after_id: UUID | None, limit: int
) -> list[ListedMember]:
    """All members, or those whose handle begins with `prefix`."""
    parameters = {
        "room_id": room_id,
        "handle_pattern": None if prefix is None else like_prefix(prefix),
        "after_id": after_id,
        "limit": limit,
    }
    rows = await tx.execute(_MEMBERS, parameters)
    return [msgspec.convert(row._asdict(), ListedMember, strict=False) for row in rows]


def like_prefix(prefix: str) -> str:
    r"""A LIKE pattern; what people type means itself, `%`, `_` and `\` too."""
    return prefix.lower().translate({ord(each): f"\\{each}" for each in "\\%_"}) + "%"


async def permitted_listeners(
    tx: AsyncSession, room_id: UUID, user_ids: Sequence[UUID], *, now: datetime
) -> set[UUID]:
    """Which of these people may still hear the room."""
    parameters = {"room_id": room_id, "user_ids": list(user_ids), "now": now}
    return set(await tx.scalars(_PERMITTED, parameters))


async def rooms_with_member(
    tx: AsyncSession, user_id: UUID, room_ids: Sequence[UUID]
) -> list[UUID]:
    return list(await tx.scalars(_ROOMS_OF, {"user_id": user_id, "room_ids": list(room_ids)}))
