"""The SQL of mentions and unread words. Counting stops where nobody needs to know more."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.attention.domain import UNREAD_COUNTED_MAX

_FORGET = text("DELETE FROM chat.mention WHERE message_id = :message_id")


def named_sql(now: str) -> str:
    """Who may be named: a member who is there. `now` is how the statement calls the moment."""
    return f"""
    membership.left_at IS NULL
    AND (membership.banned_at IS NULL OR membership.banned_until <= {now})
"""


_NAME = text(
    f"""
    INSERT INTO chat.mention (user_id, room_id, seq, message_id)
    SELECT person.user_id, :room_id, :seq, :message_id
    FROM chat.person
    JOIN chat.membership ON membership.user_id = person.user_id
        AND membership.room_id = :room_id AND {named_sql(":now")}
    WHERE person.handle = ANY(CAST(:handles AS text[])) AND person.user_id <> :author_id
      AND NOT EXISTS (
        SELECT FROM chat.block
        WHERE block.user_id = person.user_id AND block.blocked_id = :author_id AND is_blocked)
    ON CONFLICT DO NOTHING
    RETURNING user_id
    """  # noqa: S608 - put together from our own constant
)

# What one has said oneself, what was taken back, and what people say whom one has blocked, is
# nothing one has to read.
_UNREAD = text(
    """
    SELECT membership.room_id, membership.read_seq, room.last_seq, first.seq AS first_unread_seq,
           first.unread, named.mentions
    FROM chat.membership JOIN chat.room ON room.id = membership.room_id
    CROSS JOIN LATERAL (
        SELECT min(seq) AS seq, count(*) AS unread FROM (
            SELECT message.seq FROM chat.message
            WHERE message.room_id = membership.room_id AND message.seq > membership.read_seq
              AND message.deleted_at IS NULL AND message.author_id <> membership.user_id
              AND NOT EXISTS (
                SELECT FROM chat.block
                WHERE block.user_id = membership.user_id AND block.blocked_id = message.author_id
                  AND is_blocked)
            ORDER BY message.seq LIMIT :counted_max
        ) AS unread
    ) AS first
    CROSS JOIN LATERAL (
        SELECT count(*) AS mentions FROM (
            SELECT FROM chat.mention
            WHERE mention.user_id = membership.user_id AND mention.room_id = membership.room_id
              AND mention.seq > membership.read_seq
            LIMIT :counted_max
        ) AS named
    ) AS named
    WHERE membership.user_id = :user_id
      AND membership.left_at IS NULL
      AND (membership.banned_at IS NULL OR membership.banned_until <= :now)
      AND (CAST(:room_ids AS uuid[]) IS NULL OR membership.room_id = ANY(CAST(:room_ids AS uuid[])))
      AND (CAST(:after_id AS uuid) IS NULL OR membership.room_id > CAST(:after_id AS uuid))
    ORDER BY membership.room_id
    LIMIT :limit
    """
)


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """Of one person in one room. `unread` and `mentions` stop at a hundred."""

    room_id: UUID
    read_seq: int
    last_seq: int
    unread: int
    mentions: int
    first_unread_seq: int | None


async def name_people(
    tx: AsyncSession,
    *,
    room_id: UUID,
    message_id: UUID,
    seq: int,
    author_id: UUID,
    handles: Sequence[str],
    now: datetime,
) -> list[UUID]:
    """Replace whom a message names: members with these handles who have not blocked its author."""
    await forget_mentions(tx, message_id)
    if not handles:
        return []
    parameters = {
        "room_id": room_id,
        "message_id": message_id,
        "seq": seq,
        "author_id": author_id,
        "handles": list(handles),
        "now": now,
    }
    return sorted(await tx.scalars(_NAME, parameters))


async def forget_mentions(tx: AsyncSession, message_id: UUID) -> None:
    await tx.execute(_FORGET, {"message_id": message_id})


async def unread(
    tx: AsyncSession,
    user_id: UUID,
    *,
    room_ids: Sequence[UUID] | None = None,
    after_id: UUID | None = None,
    limit: int = UNREAD_COUNTED_MAX,
    now: datetime,
) -> list[Unread]:
    """In the order of the rooms' ids, of all rooms they are in or of some."""
    parameters = {
        "user_id": user_id,
        "room_ids": None if room_ids is None else list(room_ids),
        "after_id": after_id,
        "limit": limit,
        "counted_max": UNREAD_COUNTED_MAX,
        "now": now,
    }
    rows = await tx.execute(_UNREAD, parameters)
    return [msgspec.convert(row._asdict(), Unread) for row in rows]
