"""Read marks, and what is still unread. The same for HTTP, the socket and every device."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from seda_contracts.live import user_subject
from seda_db import Transaction
from seda_identity import Principal
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.attention import store
from chat_realtime.attention.domain import AttentionChanged
from chat_realtime.log.operations import Recording
from chat_realtime.log.store import positions
from chat_realtime.rooms import store as rooms_store
from chat_realtime.rooms.operations import standing_of


def tell_attention(tx: Transaction, recording: Recording, user_id: UUID, room_id: UUID) -> None:
    """After the commit all devices of the person are told how much is unread."""
    notice = AttentionChanged(user_id=user_id, room_id=room_id)
    recording.signals.stage(tx, user_subject(user_id), msgspec.json.encode(notice))


async def mark_read(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, seq: int
) -> int:
    """Remember how far somebody read. The mark only moves forward, and not past the room."""
    user_id = principal.require_user()
    (await standing_of(tx, room_id, principal)).check_member(recording.now())
    position = (await positions(tx, [room_id]))[room_id]
    before, after = await rooms_store.move_read_mark(
        tx, room_id, user_id, seq=min(seq, position.seq)
    )
    if after != before:
        tell_attention(tx, recording, user_id, room_id)
    return after


async def read_unread(
    tx: AsyncSession,
    principal: Principal,
    *,
    room_ids: Sequence[UUID] | None = None,
    after_id: UUID | None = None,
    limit: int,
    now: datetime,
) -> list[store.Unread]:
    return await store.unread(
        tx,
        principal.require_user(),
        room_ids=room_ids,
        after_id=after_id,
        limit=limit,
        now=now,
    )
