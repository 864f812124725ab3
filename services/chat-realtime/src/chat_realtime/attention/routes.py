"""HTTP of what is unread."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.attention import operations
from chat_realtime.attention.store import Unread
from chat_realtime.log.domain import SEQ_MAX
from chat_realtime.log.operations import Recording

Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class NewMark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seq: Annotated[int, Meta(ge=0, le=SEQ_MAX)]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Where the mark stands now: it never goes back."""

    seq: int


class UnreadList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Unread]
    next_cursor: str | None


class AttentionRoutes(Controller):
    path = "/api/v1/chat"

    @put("/rooms/{room_id:uuid}/read", operation_id="MarkRead", policy=Policy("message:read"))
    async def mark_read(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[NewMark],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Mark:
        async with db.begin() as tx:
            seq = await operations.mark_read(tx, recording, principal, room_id, data.seq)
        return Mark(seq=seq)

    @get("/unread", operation_id="ListUnread", policy=Policy("message:read"))
    async def list_unread(
        self,
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        limit: Limit = 100,
        cursor: FromQuery[UUID | None] = None,
    ) -> UnreadList:
        """All rooms the caller is in. Counts stop at a hundred."""
        async with db.read() as tx:
            items = await operations.read_unread(
                tx, principal, after_id=cursor, limit=limit, now=recording.now()
            )
        return UnreadList(
            items=items, next_cursor=str(items[-1].room_id) if len(items) == limit else None
        )
