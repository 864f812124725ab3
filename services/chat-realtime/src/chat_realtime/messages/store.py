"""The SQL of messages and reactions. A page of history is one statement."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from seda_db import OneRead
from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select
from sqlmodel.sql.expression import SelectOfScalar

from chat_realtime.log.domain import Position
from chat_realtime.people.store import CARD_SQL
from chat_realtime.rooms.domain import Standing
from chat_realtime.rooms.store import STANDING_COLUMNS, STANDING_JOINS, standing_in
from chat_realtime.tables import MentionRow, MessageRow, PinRow, ReactionRow, RevisionRow

PAGE_MESSAGES_MAX = 100
BEFORE_SEQ_MAX = 2**62
"""Above every number: the newest page is one before it."""

# What hangs on messages is gathered for all of them at once and then given to each: a subquery for
# every message costs several times as much. JSON as text and not jsonb: nobody takes it apart
# on the way; of rows, because `json_build_object` looks up every type anew and takes twice as long.
# To plan this takes longer than to run it, so all of it serves one plan for every page:
# an array makes PostgreSQL look ids up however many it expects, the constant bound inside the asked
# one keeps that expectation small, and nothing is gathered again for each row once materialized.
_GATHERED = f"""
    reacted AS MATERIALIZED (
        SELECT message_id, json_agg((
                SELECT one FROM (SELECT emoji, "count", first_at, mine) AS one
            ) ORDER BY first_at, emoji COLLATE "C") AS reactions
        FROM (
            SELECT message_id, emoji, count(*), min(added_at) AS first_at,
                bool_or(user_id = :viewer_id) AS mine
            FROM chat.reaction WHERE message_id = ANY(ARRAY(SELECT id FROM shown))
            GROUP BY message_id, emoji) AS counted
        GROUP BY message_id),
    mentioned AS MATERIALIZED (
        SELECT message_id, json_agg(user_id ORDER BY user_id) AS mentions
        FROM chat.mention WHERE message_id = ANY(ARRAY(SELECT id FROM shown))
        GROUP BY message_id),
    linked AS MATERIALIZED (
        SELECT link.message_id,
            json_agg(json_build_object('link_id', link.link_id, 'url', link.url)
                ORDER BY link.position) AS links,
            json_agg(json_build_object(
                'link_id', link.link_id, 'url', link.url, 'card_version', card.card_version,
                'card', card.card) ORDER BY link.position)
                FILTER (WHERE link.card_version > 0) AS cards
        FROM chat.message_link AS link LEFT JOIN chat.card ON card.link_id = link.link_id
        WHERE link.message_id = ANY(ARRAY(SELECT id FROM shown))
        GROUP BY link.message_id),
    pinned AS MATERIALIZED (
        SELECT message_id, pinned_at FROM chat.pin
        WHERE message_id = ANY(ARRAY(SELECT id FROM shown))),
    author AS MATERIALIZED (
        SELECT asked.user_id, {CARD_SQL} AS card
        FROM (SELECT DISTINCT author_id AS user_id FROM shown) AS asked
        LEFT JOIN chat.person ON person.user_id = asked.user_id)
"""  # noqa: S608 - put together from our own constants; values are bound
_MEMBERS = """
    message.id, message.room_id, message.seq, message.type, message.text, message.parent_id,
    message.edit_version, message.created_at, message.edited_at, message.deleted_at,
    message.author_id, author.card AS author,
    coalesce(mentioned.mentions, '[]') AS mentions, pinned.message_id IS NOT NULL AS pinned,
    pinned.pinned_at, coalesce(reacted.reactions, '[]') AS reactions,
    coalesce(linked.links, '[]') AS links, coalesce(linked.cards, '[]') AS cards
"""
_JOINED = """
    JOIN author ON author.user_id = message.author_id
    LEFT JOIN reacted ON reacted.message_id = message.id
    LEFT JOIN mentioned ON mentioned.message_id = message.id
    LEFT JOIN linked ON linked.message_id = message.id
    LEFT JOIN pinned ON pinned.message_id = message.id
"""
# One statement sees one moment, in which who may read, how far the room is and what is there belong
# together; and it takes one round trip.
_TOLD = f"""
    SELECT {STANDING_COLUMNS}, room.epoch, room.last_seq, room.acl_epoch,
        ARRAY(SELECT seq FROM told) AS seqs, ARRAY(SELECT shown FROM told) AS shown
    FROM (VALUES (CAST(:room_id AS uuid), CAST(:viewer_id AS uuid))) AS asked(room_id, user_id)
    {STANDING_JOINS}
"""  # noqa: S608

_HISTORY = text(
    f"""
    WITH page AS MATERIALIZED (
        SELECT * FROM (
            SELECT * FROM chat.message
            WHERE room_id = :room_id AND parent_id IS NULL AND seq < :before_seq
            ORDER BY seq DESC
            LIMIT {PAGE_MESSAGES_MAX}
        ) AS nearest
        LIMIT :limit
    ), counted AS MATERIALIZED (
        SELECT parent_id, count(*) AS replies, max(created_at) AS last_reply_at
        FROM chat.message WHERE parent_id = ANY(ARRAY(SELECT id FROM page))
        GROUP BY parent_id
    ), reply AS MATERIALIZED (
        SELECT first.* FROM page CROSS JOIN LATERAL (
            SELECT * FROM chat.message WHERE message.parent_id = page.id
            ORDER BY message.seq LIMIT :replies_max) AS first
    ), shown AS MATERIALIZED (
        SELECT id, author_id FROM page UNION ALL SELECT id, author_id FROM reply
    ), {_GATHERED}, thread AS MATERIALIZED (
        SELECT parent_id, json_agg(whole ORDER BY seq) AS replies
        FROM (SELECT {_MEMBERS} FROM reply AS message {_JOINED}) AS whole
        GROUP BY parent_id
    ), told AS MATERIALIZED (
        SELECT seq, CAST(row_to_json(whole) AS text) AS shown
        FROM (
            SELECT {_MEMBERS}, coalesce(counted.replies, 0) AS reply_count,
                counted.last_reply_at, coalesce(thread.replies, '[]') AS replies
            FROM page AS message {_JOINED}
            LEFT JOIN counted ON counted.parent_id = message.id
            LEFT JOIN thread ON thread.parent_id = message.id) AS whole
        ORDER BY seq DESC
    ) {_TOLD}
    """  # noqa: S608
)

_REPLIES = text(
    f"""
    WITH page AS MATERIALIZED (
        SELECT * FROM (
            SELECT * FROM chat.message
            WHERE room_id = :room_id AND parent_id = :parent_id AND seq > :after_seq
            ORDER BY seq
            LIMIT {PAGE_MESSAGES_MAX}
        ) AS nearest
        LIMIT :limit
    ), shown AS (SELECT id, author_id FROM page), {_GATHERED}, told AS MATERIALIZED (
        SELECT seq, CAST(row_to_json(whole) AS text) AS shown
        FROM (SELECT {_MEMBERS} FROM page AS message {_JOINED}) AS whole
        ORDER BY seq
    ) {_TOLD}
    """  # noqa: S608
)

_SHOW_MANY = text(
    f"""
    WITH page AS MATERIALIZED (
        SELECT message.* FROM chat.message
        WHERE message.id = ANY(CAST(:message_ids AS uuid[]))
    ), shown AS (SELECT id, author_id FROM page), {_GATHERED}
    SELECT seq, CAST(row_to_json(whole) AS text) AS shown
    FROM (SELECT {_MEMBERS} FROM page AS message {_JOINED}) AS whole
    ORDER BY array_position(CAST(:message_ids AS uuid[]), id)
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


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Messages with the position of the room at the same moment, from which to go on listening."""

    items: list[ShownMessage]
    position: Position


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
    return [_shown(*row) for row in await tx.execute(_SHOW_MANY, parameters)]


async def reactions_counted(
    tx: AsyncSession, message_id: UUID, emoji: str
) -> tuple[int, datetime | None]:
    """How many people have reacted so, and since when."""
    query = select(func.count(), func.min(ReactionRow.added_at)).where(
        col(ReactionRow.message_id) == message_id, col(ReactionRow.emoji) == emoji
    )
    count, first_at = (await tx.execute(query)).one()
    return count, first_at


async def other_emoji_kinds(tx: AsyncSession, message_id: UUID, emoji: str) -> int:
    query = select(func.count(func.distinct(ReactionRow.emoji))).where(
        col(ReactionRow.message_id) == message_id, col(ReactionRow.emoji) != emoji
    )
    return int(await tx.scalar(query) or 0)


async def history(
    tx: OneRead,
    room_id: UUID,
    *,
    viewer_id: UUID,
    is_platform_admin: bool,
    before_seq: int | None,
    limit: int,
    replies_max: int,
) -> tuple[Standing, Page] | None:
    """Top-level messages, newest first, each with its oldest replies, and how the viewer stands: it
    is for the caller to judge. None without such a room.
    """
    parameters = {
        "room_id": room_id,
        "viewer_id": viewer_id,
        "before_seq": BEFORE_SEQ_MAX if before_seq is None else before_seq,
        "limit": limit,
        "replies_max": replies_max,
    }
    return _told(await tx.execute(_HISTORY, parameters), is_platform_admin=is_platform_admin)


async def replies(
    tx: OneRead,
    room_id: UUID,
    parent_id: UUID,
    *,
    viewer_id: UUID,
    is_platform_admin: bool,
    after_seq: int,
    limit: int,
) -> tuple[Standing, Page] | None:
    """Replies of one message, oldest first; else as `history`."""
    parameters = {
        "room_id": room_id,
        "parent_id": parent_id,
        "viewer_id": viewer_id,
        "after_seq": after_seq,
        "limit": limit,
    }
    return _told(await tx.execute(_REPLIES, parameters), is_platform_admin=is_platform_admin)


def _told(rows: Sequence[Any], *, is_platform_admin: bool) -> tuple[Standing, Page] | None:
    if not rows:
        return None
    (row,) = rows
    page = Page(
        items=[_shown(*each) for each in zip(row.seqs, row.shown, strict=True)],
        position=Position(epoch=row.epoch, seq=row.last_seq, acl=row.acl_epoch),
    )
    return standing_in(row, is_platform_admin=is_platform_admin), page


def _shown(seq: int, shown: str) -> ShownMessage:
    return ShownMessage(seq, msgspec.Raw(shown.encode()))
