"""The SQL of the room log. One statement takes the numbers and writes the entries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log.domain import WORDS, Change, Entry, Position

# The row lock on the room makes the order of numbers the order of commits: no reader can ever see
# a later number before an earlier one.
_APPEND = text(
    """
    WITH added AS (
        SELECT room_id, count
        FROM unnest(CAST(:room_ids AS uuid[]), CAST(:counts AS bigint[])) AS asked(room_id, count)
    ), head AS (
        UPDATE chat.room
        SET last_seq = last_seq + added.count, acl_epoch = acl_epoch + :narrowing
        FROM added WHERE room.id = added.room_id
        RETURNING room.id, last_seq - added.count AS seq_before, epoch, acl_epoch
    ), written AS (
        INSERT INTO chat.room_log
            (room_id, seq, type, acl_epoch, message_id, author_id, data, at)
        SELECT head.id, head.seq_before + change.position, change.type, head.acl_epoch,
               change.message_id, change.author_id, change.data, :at
        FROM jsonb_to_recordset(CAST(:changes AS jsonb)) AS change(
            room_id uuid, position int, type text, message_id uuid, author_id uuid, data jsonb)
        JOIN head ON head.id = change.room_id
    )
    SELECT id, seq_before, epoch, acl_epoch FROM head
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
    UPDATE chat.room_log SET data = data - CAST(:words AS text[])
    WHERE message_id = :message_id
    """
)


async def append(
    tx: AsyncSession,
    changes: Mapping[UUID, Sequence[Change]],
    *,
    narrows: bool,
    at: datetime,
) -> dict[UUID, list[Entry]]:
    """The entries of each room with their numbers. A room that is not there is left out.

    Who changes several rooms has locked them in the order of their ids, else two could wait for
    each other.
    """
    numbered = [
        {"room_id": room_id, "position": position, **msgspec.structs.asdict(change)}
        for room_id, in_room in changes.items()
        for position, change in enumerate(in_room, start=1)
    ]
    parameters = {
        "room_ids": list(changes),
        "counts": [len(in_room) for in_room in changes.values()],
        "narrowing": int(narrows),
        "changes": msgspec.json.encode(numbered).decode(),
        "at": at,
    }
    return {
        head.id: [
            Entry(
                room_id=head.id,
                epoch=head.epoch,
                seq=seq,
                acl=head.acl_epoch,
                change=change,
                at=at,
            )
            for seq, change in enumerate(changes[head.id], start=head.seq_before + 1)
        ]
        for head in await tx.execute(_APPEND, parameters)
    }


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
    await tx.execute(_FORGET, {"message_id": message_id, "words": list(WORDS)})
