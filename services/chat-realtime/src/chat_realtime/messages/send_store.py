"""The SQL of sending: cards and rooms are locked on the way into the transaction, one statement
looks at everything that is judged, one writes everything that was accepted. These take and give
documents, because what a message costs here is what a busy room is slow by.

To judge by something more, add it to `_LOOK` and `Looked`; to write something more with a message,
add it to `_WRITE` and the lists of `Writing`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from seda_db import DriverTransaction
from seda_messaging import Prepared

from chat_realtime.attention.store import named_sql
from chat_realtime.cards.domain import ShownCard
from chat_realtime.cards.store import hold_cards_sql, slots_of
from chat_realtime.people.store import CARD_SQL
from chat_realtime.rooms.domain import RoleName

# The rooms are locked by a statement before: a mute or ban that came first is seen here, a later
# one waits. Threads are one level deep: an answer to an answer joins the same thread.
#
# A message is looked up by an index whatever the statistics say (LATERAL with LIMIT): a plan made
# while the table was small reads it from end to end, and is kept as it grows.
_LOOK = f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST($1 AS json)) AS asked(
            room_id uuid, author_id uuid, cid text, parent_id uuid)
    ), authors AS MATERIALIZED (SELECT DISTINCT author_id AS user_id FROM asked)
    SELECT CAST(json_build_object(
        'rooms', (
            SELECT json_object_agg(id, room) FROM (
                SELECT id, last_seq, epoch, acl_epoch, is_private, archived, locked,
                    slow_mode_seconds
                FROM chat.room WHERE id IN (SELECT room_id FROM asked)) AS room),
        'members', (
            SELECT json_agg(member) FROM (
                SELECT room_id, user_id, role, left_at, muted_until, banned_at, banned_until,
                    last_sent_at
                FROM (SELECT DISTINCT room_id, author_id AS user_id FROM asked) AS wanted
                JOIN chat.membership USING (room_id, user_id)) AS member),
        'muted', (
            SELECT json_object_agg(user_id, muted_until)
            FROM chat.global_mute JOIN authors USING (user_id)),
        'cards_of_authors', (
            SELECT json_object_agg(asked.user_id, {CARD_SQL})
            FROM authors AS asked LEFT JOIN chat.person ON person.user_id = asked.user_id),
        'earlier', (
            SELECT json_agg(earlier) FROM (
                SELECT message.author_id, message.cid, message.id, message.room_id, message.seq,
                    message.created_at, encode(body_sha256, 'hex') AS body_sha256
                FROM asked CROSS JOIN LATERAL (
                    SELECT * FROM chat.message
                    WHERE message.author_id = asked.author_id AND message.cid = asked.cid LIMIT 1
                ) AS message) AS earlier),
        'threads', (
            SELECT json_object_agg(id, thread) FROM (
                SELECT message.id, message.room_id,
                    coalesce(message.parent_id, message.id) AS root_id
                FROM (SELECT DISTINCT parent_id FROM asked WHERE parent_id IS NOT NULL) AS wanted
                CROSS JOIN LATERAL (
                    SELECT * FROM chat.message
                    WHERE message.id = wanted.parent_id AND deleted_at IS NULL LIMIT 1
                ) AS message) AS thread),
        'cards', (
            SELECT json_agg(json_build_object(
                'link_id', link_id, 'url', '', 'card_version', card_version, 'card', card))
            FROM chat.card WHERE link_id = ANY(CAST($2 AS uuid[]))),
        'named', (
            SELECT json_agg(json_build_object(
                'room_id', membership.room_id, 'user_id', person.user_id,
                'handle', person.handle, 'blocked', (
                    SELECT coalesce(json_agg(blocked_id), '[]') FROM chat.block
                    WHERE block.user_id = person.user_id AND is_blocked
                      AND blocked_id IN (SELECT user_id FROM authors))))
            FROM chat.person JOIN chat.membership ON membership.user_id = person.user_id
            WHERE person.handle = ANY(CAST($3 AS text[]))
              AND membership.room_id IN (SELECT room_id FROM asked) AND {named_sql("$4")})
    ) AS text)
    """  # noqa: S608 - put together from our own constants; values are bound

# Client ids are inserted in their own order: two processes may hold the same one for different
# rooms, and would wait for each other for ever.
_WRITE = """
    WITH message AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST($1 AS json)) AS message(
            id uuid, room_id uuid, seq bigint, author_id uuid, text text, cid text,
            body_sha256 text, parent_id uuid, created_at timestamptz, acl_epoch bigint, data jsonb)
    ), counted AS (
        UPDATE chat.room SET last_seq = last_seq + added.count
        FROM (SELECT room_id, count(*) AS count FROM message GROUP BY room_id) AS added
        WHERE room.id = added.room_id
    ), kept AS (
        INSERT INTO chat.message
            (id, room_id, seq, author_id, text, cid, body_sha256, parent_id, created_at)
        SELECT id, room_id, seq, author_id, text, cid, decode(body_sha256, 'hex'), parent_id,
               created_at
        FROM message ORDER BY author_id, cid
        ON CONFLICT ON CONSTRAINT uq_message_author_id_cid DO NOTHING
        RETURNING id
    ), logged AS (
        INSERT INTO chat.room_log
            (room_id, seq, type, acl_epoch, message_id, author_id, data, at)
        SELECT room_id, seq, 'message.created', acl_epoch, id, author_id, data, created_at
        FROM message
    ), linked AS (
        INSERT INTO chat.message_link (message_id, link_id, room_id, url, position, card_version)
        SELECT * FROM json_to_recordset(CAST($2 AS json)) AS link(
            message_id uuid, link_id uuid, room_id uuid, url text, position int, card_version int)
    ), named AS (
        INSERT INTO chat.mention (user_id, room_id, seq, message_id)
        SELECT * FROM json_to_recordset(CAST($3 AS json)) AS mention(
            user_id uuid, room_id uuid, seq bigint, message_id uuid)
    ), paced AS (
        UPDATE chat.membership SET last_sent_at = $6
        FROM json_to_recordset(CAST($4 AS json)) AS sender(room_id uuid, user_id uuid)
        WHERE membership.room_id = sender.room_id AND membership.user_id = sender.user_id
    ), told AS (
        INSERT INTO chat.outbox (event_id, subject, ordering_key, headers, payload)
        SELECT event_id, subject, ordering_key, headers, convert_to(CAST(payload AS text), 'UTF8')
        FROM ROWS FROM (json_to_recordset(CAST($5 AS json)) AS (
            event_id uuid, subject text, ordering_key text, headers jsonb, payload json)
        ) WITH ORDINALITY AS event
        ORDER BY ordinality
        RETURNING id, event_id
    )
    SELECT CAST(json_build_object(
        'kept', (SELECT count(*) FROM kept),
        'event_row_ids', (SELECT json_agg(id ORDER BY id) FROM told)) AS text)
    """


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be looked at for one draft."""

    room_id: UUID
    author_id: UUID
    cid: str
    parent_id: UUID | None


class LookedRoom(msgspec.Struct, kw_only=True):
    """A locked room. `last_seq` counts on as messages are accepted."""

    last_seq: int
    epoch: str
    acl_epoch: int
    is_private: bool
    archived: bool
    locked: bool
    slow_mode_seconds: int


class LookedMember(msgspec.Struct, frozen=True, kw_only=True):
    room_id: UUID
    user_id: UUID
    role: RoleName
    left_at: datetime | None
    muted_until: datetime | None
    banned_at: datetime | None
    banned_until: datetime | None
    last_sent_at: datetime | None


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a send is answered from, and the same send again."""

    id: UUID
    room_id: UUID
    seq: int
    created_at: datetime
    body_sha256: str


class EarlierMessage(SentMessage, frozen=True, kw_only=True):
    author_id: UUID
    cid: str


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    room_id: UUID
    root_id: UUID


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of a room whose handle was typed, and which of the authors they have blocked."""

    room_id: UUID
    user_id: UUID
    handle: str
    blocked: frozenset[UUID]


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    rooms: dict[UUID, LookedRoom] | None
    members: list[LookedMember] | None
    muted: dict[UUID, datetime] | None
    cards_of_authors: dict[UUID, msgspec.Raw] | None
    earlier: list[EarlierMessage] | None
    threads: dict[UUID, Thread] | None
    cards: list[ShownCard] | None
    named: list[Named] | None


class MessageToWrite(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is what the log says of it, encoded already."""

    id: UUID
    room_id: UUID
    seq: int
    author_id: UUID
    text: str
    cid: str
    body_sha256: str
    parent_id: UUID | None
    created_at: datetime
    acl_epoch: int
    data: msgspec.Raw


class LinkToWrite(msgspec.Struct, frozen=True, kw_only=True):
    message_id: UUID
    link_id: UUID
    room_id: UUID
    url: str
    position: int
    card_version: int


class MentionToWrite(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    room_id: UUID
    seq: int
    message_id: UUID


class SenderToPace(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who spoke in a room in slow mode."""

    room_id: UUID
    user_id: UUID


class Writing(msgspec.Struct, kw_only=True):
    """Everything one transaction writes."""

    now: datetime
    messages: list[MessageToWrite] = []
    links: list[LinkToWrite] = []
    mentions: list[MentionToWrite] = []
    paced: list[SenderToPace] = []
    events: list[Prepared] = []


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were new, and the rows of the events in their order."""

    kept: int
    event_row_ids: list[int]


_encoder = msgspec.json.Encoder()
_decode_looked = msgspec.json.Decoder(Looked).decode
_decode_written = msgspec.json.Decoder(Written).decode


def locks_sql(room_ids: Collection[UUID], link_ids: Collection[UUID]) -> str:
    """What a batch waits for before it looks, without values to bind. The order is everybody's, so
    that no two wait for each other: cards (`cards.store.hold_cards`), then rooms by their ids.
    """
    asked = ", ".join(f"'{room_id}'" for room_id in room_ids)
    # UUIDs by their type, and nothing else.
    rooms = f"SELECT id FROM chat.room WHERE id IN ({asked}) ORDER BY id FOR NO KEY UPDATE"  # noqa: S608
    if not link_ids:
        return rooms
    slots = ", ".join(str(slot) for slot in slots_of(link_ids))
    return f"{hold_cards_sql(f'ARRAY[{slots}]')}; {rooms}"


async def look(
    tx: DriverTransaction,
    asked: Sequence[Asked],
    *,
    link_ids: Collection[UUID],
    handles: Collection[str],
    now: datetime,
) -> Looked:
    """For rooms that are locked. What is not there is left out."""
    document = _document(asked)
    return _decode_looked(await tx.scalar(_LOOK, document, list(link_ids), list(handles), now))


async def write(tx: DriverTransaction, writing: Writing) -> Written:
    """The one place where messages are written. Fewer `kept` than given: a cid was taken."""
    lists = (
        writing.messages,
        writing.links,
        writing.mentions,
        writing.paced,
        writing.events,
    )
    documents = [_document(rows) for rows in lists]
    return _decode_written(await tx.scalar(_WRITE, *documents, writing.now))


def _document(value: Any) -> str:
    return _encoder.encode(value).decode()
