"""Write to a room's log and tell who listens; read back what somebody missed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from seda_contracts.live import room_subject
from seda_contracts.realtime import EventFrame
from seda_messaging import Outbox
from seda_runtime.clock import Clock
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log import store
from chat_realtime.log.domain import Change, Entry, encode_event, frame
from chat_realtime.people import store as people_store
from chat_realtime.signals import Signals

REPLAY_ENTRIES_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What every change needs: where events leave, where signals leave, what time it is."""

    outbox: Outbox
    signals: Signals
    now: Clock


async def record(
    tx: AsyncSession,
    recording: Recording,
    room_id: UUID,
    changes: Sequence[Change],
    *,
    narrows: bool = False,
) -> list[Entry]:
    """Number and keep the changes; after the commit every listening process hears them.

    `narrows` says that somebody may now see less: the rights epoch rises in the same transaction,
    and every process asks again who may listen before it delivers this or anything later.
    """
    entries = await store.append(tx, {room_id: changes}, narrows=narrows, at=recording.now())
    in_room = entries.get(room_id, [])
    for event in await show(tx, in_room):
        recording.signals.stage(tx, room_subject(event.room), encode_event(event))
    return in_room


async def record_one(
    tx: AsyncSession, recording: Recording, room_id: UUID, change: Change, *, narrows: bool = False
) -> Entry:
    """For rooms that the caller has locked, so they exist."""
    (entry,) = await record(tx, recording, room_id, [change], narrows=narrows)
    return entry


async def show(tx: AsyncSession, entries: Sequence[Entry]) -> list[EventFrame]:
    """Entries as clients see them, with today's card of each author."""
    authors = {e.change.author_id for e in entries if e.change.author_id is not None}
    cards: Mapping[UUID, Any] = await people_store.cards(tx, list(authors)) if authors else {}
    return [
        frame(entry, cards[entry.change.author_id] if entry.change.author_id else None)
        for entry in entries
    ]


async def missed(
    tx: AsyncSession, room_id: UUID, *, after_seq: int, limit: int = REPLAY_ENTRIES_MAX
) -> list[EventFrame]:
    return await show(tx, await store.entries_after(tx, room_id, after_seq, limit=limit))
