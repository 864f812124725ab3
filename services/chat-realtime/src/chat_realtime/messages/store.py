"""The SQL of messages and reactions. A page of history is one statement."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Result, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select
from sqlmodel.sql.expression import SelectOfScalar

from chat_realtime.people.store import CARD_SQL
from chat_realtime.tables import MentionRow, MessageRow, PinRow, ReactionRow, RevisionRow

_SHOWN = f"""
    jsonb_build_object(
        'id', message.id, 'room_id', message.room_id, 'seq', message.seq,
        'type', message.type, 'text', message.text, 'parent_id', message.parent_id,
        'edit_version', message.edit_version, 'created_at', message.created_at,
        'edited_at', message.edited_at, 'deleted_at', message.deleted_at,
        'author_id', message.author_id,
        'mentions', (
            SELECT coalesce(jsonb_agg(user_id ORDER BY user_id), '[]')
            FROM chat.mention WHERE mention.message_id = message.id),
        'pinned', EXISTS (SELECT FROM chat.pin WHERE pin.message_id = message.id),
        'author', (
            SELECT {CARD_SQL}
            FROM (VALUES (message.author_id)) AS asked(user_id)
            LEFT JOIN chat.person ON person.user_id = asked.user_id),
        'reactions', (
            SELECT coalesce(jsonb_agg(counted.one ORDER BY counted.first_at, counted.emoji), '[]')
            FROM (
                SELECT min(added_at) AS first_at, emoji, jsonb_build_object(
                    'emoji', emoji, 'count', count(*),
                    'mine', bool_or(user_id = :viewer_id)) AS one
                FROM chat.reaction WHERE reaction.message_id = message.id
                GROUP BY emoji) AS counted),
        'cards', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'link_id', link.link_id, 'url', link.url, 'card_version', card.card_version,
                'card', card.card) ORDER BY link.position), '[]')
            FROM chat.message_link AS link JOIN chat.card ON card.link_id = link.link_id
            WHERE link.message_id = message.id AND link.card_version > 0))
"""  # noqa: S608 - put together from our own constants; values are bound

_HISTORY = text(
    f"""
    SELECT page.seq, CAST(page.shown || jsonb_build_object(
        'reply_count', coalesce(thread.reply_count, 0),
        'last_reply_at', thread.last_reply_at,
        'replies', coalesce(thread.replies, '[]')) AS text) AS shown
    FROM (
        SELECT message.id, message.seq, {_SHOWN} AS shown
        FROM chat.message
        WHERE message.room_id = :room_id AND message.parent_id IS NULL
          AND (CAST(:before_seq AS bigint) IS NULL OR message.seq < :before_seq)
        ORDER BY message.seq DESC
        LIMIT :limit
    ) AS page
    LEFT JOIN LATERAL (
        SELECT max(reply.count) AS reply_count, max(reply.last_at) AS last_reply_at,
            jsonb_agg(reply.shown ORDER BY reply.seq) AS replies
        FROM (
            SELECT message.seq, {_SHOWN} AS shown, (
                SELECT count(*) FROM chat.message AS other WHERE other.parent_id = page.id
            ) AS count, (
                SELECT max(created_at) FROM chat.message AS other WHERE other.parent_id = page.id
            ) AS last_at
            FROM chat.message
            WHERE message.parent_id = page.id
            ORDER BY message.seq
            LIMIT :replies_max
        ) AS reply
    ) AS thread ON true
    ORDER BY page.seq DESC
    """  # noqa: S608
)

_REPLIES = text(
    f"""
    SELECT message.seq, CAST({_SHOWN} AS text) AS shown
    FROM chat.message
    WHERE message.room_id = :room_id AND message.parent_id = :parent_id
      AND message.seq > :after_seq
    ORDER BY message.seq
    LIMIT :limit
    """  # noqa: S608
)

_SHOW_MANY = text(
    f"""
    SELECT message.seq, CAST({_SHOWN} AS text) AS shown
    FROM unnest(CAST(:message_ids AS uuid[])) WITH ORDINALITY AS asked(id, position)
    JOIN chat.message ON message.id = asked.id
    ORDER BY asked.position
    """  # noqa: S608
)

_KEEP_REVISION = text(
    """
    INSERT INTO chat.message_revision (message_id, edit_version, text, replaced_at)
    VALUES (:message_id, :edit_version, :text, :replaced_at)
    """
)

_FORGET_REVISIONS = text(
    """
    DELETE FROM chat.message_revision
    WHERE message_id = :message_id AND edit_version <= :newest_version
    """
)


class ShownMessage(msgspec.Struct, frozen=True):
    """A message as PostgreSQL has put it together; it goes to the client without being parsed."""

    seq: int
    shown: msgspec.Raw


async def message_in_room(tx: AsyncSession, room_id: UUID, message_id: UUID) -> MessageRow | None:
    """A message that is there to be changed or answered: of this room and not deleted."""
    query = select(MessageRow).where(
        col(MessageRow.id) == message_id,
        col(MessageRow.room_id) == room_id,
        col(MessageRow.deleted_at).is_(None),
    )
    return await tx.scalar(query)


async def messages_in_room(
    tx: AsyncSession, room_id: UUID, message_ids: Collection[UUID]
) -> list[MessageRow]:
    """Those that are there and not deleted, newest first."""
    query = _alive(room_id).where(col(MessageRow.id).in_(message_ids))
    return list(await tx.scalars(query))


async def messages_since(
    tx: AsyncSession, room_id: UUID, author_id: UUID, *, since: datetime, limit: int
) -> list[MessageRow]:
    """What somebody said in a room from then on, newest first."""
    query = _alive(room_id).where(
        col(MessageRow.author_id) == author_id, col(MessageRow.created_at) >= since
    )
    return list(await tx.scalars(query.limit(limit)))


def _alive(room_id: UUID) -> SelectOfScalar[MessageRow]:
    query = select(MessageRow).where(
        col(MessageRow.room_id) == room_id, col(MessageRow.deleted_at).is_(None)
    )
    return query.order_by(col(MessageRow.seq).desc())


async def add_reaction(
    tx: AsyncSession, *, message_id: UUID, user_id: UUID, emoji: str, now: datetime
) -> bool:
    """False when it is there already."""
    statement = (
        insert(ReactionRow)
        .values(message_id=message_id, user_id=user_id, emoji=emoji, added_at=now)
        .on_conflict_do_nothing()
        .returning(col(ReactionRow.emoji))
    )
    return await tx.scalar(statement) is not None


async def remove_reaction(tx: AsyncSession, *, message_id: UUID, user_id: UUID, emoji: str) -> bool:
    """False when it was not there."""
    statement = (
        delete(ReactionRow)
        .where(
            col(ReactionRow.message_id) == message_id,
            col(ReactionRow.user_id) == user_id,
            col(ReactionRow.emoji) == emoji,
        )
        .returning(col(ReactionRow.emoji))
    )
    return await tx.scalar(statement) is not None


async def keep_revision(
    tx: AsyncSession, message: MessageRow, *, now: datetime, revisions_max: int
) -> None:
    """What the message says now, before it is edited. The oldest of too many go."""
    version = message.edit_version
    values = {"edit_version": version, "text": message.text, "replaced_at": now}
    await tx.execute(_KEEP_REVISION, {"message_id": message.id, **values})
    too_old = {"message_id": message.id, "newest_version": version - revisions_max}
    await tx.execute(_FORGET_REVISIONS, too_old)


async def revisions(tx: AsyncSession, message_id: UUID) -> list[RevisionRow]:
    """Oldest first."""
    query = select(RevisionRow).where(col(RevisionRow.message_id) == message_id)
    return list(await tx.scalars(query.order_by(col(RevisionRow.edit_version))))


async def remove_what_hangs_on(tx: AsyncSession, message_id: UUID) -> None:
    """Of a deleted message: its reactions, its earlier words, its pin, whom it named."""
    for table in (ReactionRow, RevisionRow, PinRow, MentionRow):
        await tx.execute(delete(table).where(col(table.message_id) == message_id))


async def shown_messages(
    tx: AsyncSession, message_ids: Sequence[UUID], *, viewer_id: UUID
) -> list[ShownMessage]:
    """As history shows them, in the order of the ids."""
    parameters = {"message_ids": list(message_ids), "viewer_id": viewer_id}
    return _shown(await tx.execute(_SHOW_MANY, parameters))


async def reaction_count(tx: AsyncSession, message_id: UUID, emoji: str) -> int:
    query = select(func.count()).where(
        col(ReactionRow.message_id) == message_id, col(ReactionRow.emoji) == emoji
    )
    return int(await tx.scalar(query) or 0)


async def other_emoji_kinds(tx: AsyncSession, message_id: UUID, emoji: str) -> int:
    query = select(func.count(func.distinct(ReactionRow.emoji))).where(
        col(ReactionRow.message_id) == message_id, col(ReactionRow.emoji) != emoji
    )
    return int(await tx.scalar(query) or 0)


async def history(
    tx: AsyncSession,
    room_id: UUID,
    *,
    viewer_id: UUID,
    before_seq: int | None,
    limit: int,
    replies_max: int,
) -> list[ShownMessage]:
    """Top-level messages, newest first, each with its oldest replies."""
    parameters = {
        "room_id": room_id,
        "viewer_id": viewer_id,
        "before_seq": before_seq,
        "limit": limit,
        "replies_max": replies_max,
    }
    return _shown(await tx.execute(_HISTORY, parameters))


async def replies(
    tx: AsyncSession,
    room_id: UUID,
    parent_id: UUID,
    *,
    viewer_id: UUID,
    after_seq: int,
    limit: int,
) -> list[ShownMessage]:
    """Replies of one message, oldest first."""
    parameters = {
        "room_id": room_id,
        "parent_id": parent_id,
        "viewer_id": viewer_id,
        "after_seq": after_seq,
        "limit": limit,
    }
    return _shown(await tx.execute(_REPLIES, parameters))


def _shown(rows: Result[Any]) -> list[ShownMessage]:
    return [ShownMessage(row.seq, msgspec.Raw(row.shown.encode())) for row in rows]
