"""The SQL of the room log. One statement takes the numbers and writes the entries."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log.domain import Change, Entry, Position

# The row lock on the room makes the order of numbers the order of commits: no reader can ever see
# a later number before an earlier one.
_APPEND = text(
    """
    WITH head AS (
        UPDATE chat.room
        SET last_seq = last_seq + :count, acl_epoch = acl_epoch + :narrowing
        WHERE id = :room_id
        RETURNING last_seq, epoch, acl_epoch
    ), written AS (
        INSERT INTO chat.room_log
            (room_id, seq, type, acl_epoch, message_id, author_id, data, at)
        SELECT :room_id, head.last_seq - :count + change.position, change.type, head.acl_epoch,
               change.message_id, change.author_id, change.data, :at
        FROM head, jsonb_to_recordset(CAST(:changes AS jsonb))
            AS change(position int, type text, message_id uuid, author_id uuid, data jsonb)
    )
    SELECT last_seq, epoch, acl_epoch FROM head
    """
)

_ENTRIES_AFTER = text(
    """
    SELECT log.seq, log.type, log.acl_epoch, log.message_id, log.author_id, log.data, log.at,
           room.epoch
    FROM chat.room_log AS log JOIN chat.room ON room.id = log.room_id
    WHERE log.room_id = :room_id AND log.seq > :after_seq
    ORDER BY log.seq
    LIMIT :limit
    """
)

_POSITIONS = text(
    """
    SELECT id, epoch, last_seq, acl_epoch FROM chat.room WHERE id = ANY(CAST(:room_ids AS uuid[]))
    """
)

_FORGET = text(
    """
    UPDATE chat.room_log SET data = data - '{text,links,cards,card,url}'::text[]
    WHERE message_id = :message_id
    """
)


async def append(
    tx: AsyncSession, room_id: UUID, changes: Sequence[Change], *, narrows: bool, at: datetime
) -> list[Entry]:
    """The entries with their numbers; empty when there is no such room."""
    numbered = [
        {"position": position, **msgspec.to_builtins(change)}
        for position, change in enumerate(changes, start=1)
    ]
    parameters = {
        "room_id": room_id,
        "count": len(changes),
        "narrowing": int(narrows),
        "changes": msgspec.json.encode(numbered).decode(),
        "at": at,
    }
    head = (await tx.execute(_APPEND, parameters)).one_or_none()
    if head is None:
        return []
    first = head.last_seq - len(changes) + 1
    return [
        Entry(
            room_id=room_id,
            epoch=head.epoch,
            seq=seq,
            acl=head.acl_epoch,
            change=change,
            at=at,
        )
        for seq, change in enumerate(changes, start=first)
    ]


async def entries_after(
    tx: AsyncSession, room_id: UUID, after_seq: int, *, limit: int
) -> list[Entry]:
    parameters = {"room_id": room_id, "after_seq": after_seq, "limit": limit}
    return [
        Entry(
            room_id=room_id,
            epoch=row.epoch,
            seq=row.seq,
            acl=row.acl_epoch,
            change=Change(
                type=row.type,
                data=row.data,
                message_id=row.message_id,
                author_id=row.author_id,
            ),
            at=row.at,
        )
        for row in await tx.execute(_ENTRIES_AFTER, parameters)
    ]


async def positions(tx: AsyncSession, room_ids: Sequence[UUID]) -> dict[UUID, Position]:
    rows = await tx.execute(_POSITIONS, {"room_ids": list(room_ids)})
    return {row.id: Position(epoch=row.epoch, seq=row.last_seq, acl=row.acl_epoch) for row in rows}


async def forget_words(tx: AsyncSession, message_id: UUID) -> None:
    """Empty what earlier entries say of a message; their numbers stay."""
    await tx.execute(_FORGET, {"message_id": message_id})
