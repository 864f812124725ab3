"""HTTP of moderation: act, and read who did what."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from seda_contracts.events.chat import ModerationKind
from seda_db import Database
from seda_identity import Policy, Principal, Role

from chat_realtime.log.operations import Recording
from chat_realtime.moderation import operations
from chat_realtime.moderation.domain import REASON_LENGTH_MAX
from chat_realtime.moderation.operations import Act
from chat_realtime.tables import ModerationActionRow

Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class NewAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ModerationKind
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_LENGTH_MAX)]
    user_id: UUID | None = None
    message_id: UUID | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    room_id: UUID
    kind: ModerationKind
    user_id: UUID
    message_id: UUID | None
    moderator_id: UUID
    reason: str
    until: datetime | None
    taken_at: datetime


class ActionList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Action]
    next_cursor: str | None


class ModerationRoutes(Controller):
    path = "/api/v1"

    @post(
        "/chat/rooms/{room_id:uuid}/moderation",
        operation_id="TakeModerationAction",
        policy=Policy("moderation:write"),
    )
    async def take_action(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[NewAction],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Action:
        wanted = Act(
            kind=data.kind,
            reason=data.reason,
            user_id=data.user_id,
            message_id=data.message_id,
            until=data.until,
        )
        async with db.begin() as tx:
            return _action(await operations.act(tx, recording, principal, room_id, wanted))

    @get(
        "/chat/rooms/{room_id:uuid}/moderation",
        operation_id="ListRoomModeration",
        policy=Policy("moderation:read"),
    )
    async def list_room_actions(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        limit: Limit = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> ActionList:
        async with db.read() as tx:
            rows = await operations.read_actions(
                tx, principal, room_id, before_id=cursor, limit=limit, now=recording.now()
            )
        return _list(rows, limit)

    @get(
        "/admin/moderation/actions",
        operation_id="ListAllModeration",
        policy=Policy("moderation:read_all", role=Role.ADMIN),
    )
    async def list_all_actions(
        self,
        db: NamedDependency[Database],
        limit: Limit = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> ActionList:
        async with db.read() as tx:
            rows = await operations.read_all_actions(tx, before_id=cursor, limit=limit)
        return _list(rows, limit)


def _list(rows: list[ModerationActionRow], limit: int) -> ActionList:
    return ActionList(
        items=[_action(row) for row in rows],
        next_cursor=str(rows[-1].id) if len(rows) == limit else None,
    )


def _action(row: ModerationActionRow) -> Action:
    return msgspec.convert(row.model_dump(), Action)
