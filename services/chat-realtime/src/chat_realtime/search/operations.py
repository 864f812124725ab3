"""Search one room, for those who may read it."""

from datetime import datetime
from uuid import UUID

from seda_identity import Principal
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log import store as log_store
from chat_realtime.messages import store as messages_store
from chat_realtime.messages.store import Page
from chat_realtime.rooms.domain import check_encodable
from chat_realtime.rooms.operations import standing_of
from chat_realtime.search import store


async def search_room(
    tx: AsyncSession,
    principal: Principal,
    room_id: UUID,
    *,
    query: str,
    author_id: UUID | None,
    before_seq: int | None,
    limit: int,
    now: datetime,
) -> Page:
    """Newest first. Raises SearchTooBroad."""
    (await standing_of(tx, room_id, principal)).check_member(now)
    check_encodable(query, what="The query")
    position = (await log_store.positions(tx, [room_id]))[room_id]
    ids = await store.found(
        tx, room_id, query=query, author_id=author_id, before_seq=before_seq, limit=limit
    )
    items = await messages_store.shown_messages(tx, ids, viewer_id=principal.require_user())
    return Page(items=items, position=position)
