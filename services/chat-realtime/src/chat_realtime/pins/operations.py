"""Pin, unpin, list. HTTP and the socket call the same functions."""

from datetime import datetime
from uuid import UUID

from seda_identity import Principal
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log import store as log_store
from chat_realtime.log.domain import Change
from chat_realtime.log.operations import Recording, record_one
from chat_realtime.messages import store as messages_store
from chat_realtime.messages.domain import MessageNotFound
from chat_realtime.messages.store import Page
from chat_realtime.pins import store
from chat_realtime.pins.domain import PINS_MAX, TooManyPins
from chat_realtime.rooms.domain import Rank
from chat_realtime.rooms.operations import lock_standing, standing_of


async def pin(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, message_id: UUID
) -> int | None:
    """The room's seq of the change, or None when it was pinned already."""
    await _may_pin(tx, recording, principal, room_id)
    if await messages_store.message_in_room(tx, room_id, message_id) is None:
        raise MessageNotFound
    user_id, now = principal.require_user(), recording.now()
    if not await store.add(tx, room_id=room_id, message_id=message_id, pinned_by=user_id, now=now):
        return None
    if await store.count(tx, room_id) > PINS_MAX:
        raise TooManyPins
    data = {"message_id": str(message_id), "by": str(user_id), "pinned_at": now.isoformat()}
    change = Change(type="message.pinned", message_id=message_id, data=data)
    return (await record_one(tx, recording, room_id, change)).seq


async def unpin(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, message_id: UUID
) -> int | None:
    """The room's seq of the change, or None when it was not pinned."""
    await _may_pin(tx, recording, principal, room_id)
    if not await store.remove(tx, room_id, message_id):
        return None
    data = {"message_id": str(message_id), "by": str(principal.require_user())}
    change = Change(type="message.unpinned", message_id=message_id, data=data)
    return (await record_one(tx, recording, room_id, change)).seq


async def read_pins(
    tx: AsyncSession, principal: Principal, room_id: UUID, *, now: datetime
) -> Page:
    """All of them: there are not many."""
    (await standing_of(tx, room_id, principal)).check_member(now)
    items = await messages_store.shown_messages(
        tx, await store.pinned(tx, room_id), viewer_id=principal.require_user()
    )
    return Page(items=items, position=(await log_store.positions(tx, [room_id]))[room_id])


async def _may_pin(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID
) -> None:
    standing = await lock_standing(tx, room_id, principal)
    standing.check_member(recording.now())
    standing.check_open()
    standing.check_rank(Rank.MODERATOR)
