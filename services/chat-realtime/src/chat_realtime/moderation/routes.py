"""HTTP of moderation: act, and read who did what."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from seda_db import Database
from seda_identity import Policy, Principal, Role

from chat_realtime.log.operations import Recording
from chat_realtime.moderation import operations
from chat_realtime.moderation.domain import (
    BULK_MESSAGES_MAX,
    REASON_LENGTH_MAX,
    ActKind,
    LoggedKind,
)
from chat_realtime.moderation.operations import Act, Bulk, Deleted
from chat_realtime.tables import ModerationActionRow

Reason = Annotated[str, Meta(min_length=1, max_length=REASON_LENGTH_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class NewAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ActKind
    reason: Reason
    user_id: UUID | None = None
    message_id: UUID | None = None
    until: Moment | None = None
    seconds: int | None = None
    """Of slow mode; 0 ends it."""


class NewBulkDeletion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """These messages, or what somebody said since then."""

    reason: Reason
    message_ids: Annotated[list[UUID], Meta(max_length=BULK_MESSAGES_MAX)] = []
    user_id: UUID | None = None
    since: Moment | None = None


class NewGlobalMute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason
    until: Moment


class NewReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """`room_id` is absent for every room at once, `user_id` for the room itself."""

    id: UUID
    room_id: UUID | None
    kind: LoggedKind
    user_id: UUID | None
    message_id: UUID | None
    moderator_id: UUID
    reason: str
    until: datetime | None
    seconds: int | None
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
            seconds=data.seconds,
        )
        async with db.begin() as tx:
            return _action(await operations.act(tx, recording, principal, room_id, wanted))

    @post(
        "/chat/rooms/{room_id:uuid}/messages/delete",
        operation_id="DeleteMessages",
        policy=Policy("moderation:write"),
        status_code=200,
    )
    async def delete_messages(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[NewBulkDeletion],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Deleted:
        bulk = msgspec.convert(data, Bulk, from_attributes=True)
        async with db.begin() as tx:
            return await operations.delete_many(tx, recording, principal, room_id, bulk)

    @post(
        "/admin/moderation/users/{user_id:uuid}/mute",
        operation_id="MuteEverywhere",
        policy=Policy("moderation:write_all", role=Role.ADMIN),
    )
    async def mute_everywhere(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[NewGlobalMute],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Action:
        async with db.begin() as tx:
            row = await operations.mute_everywhere(
                tx, recording, principal, user_id, reason=data.reason, until=data.until
            )
            return _action(row)

    @post(
        "/admin/moderation/users/{user_id:uuid}/unmute",
        operation_id="UnmuteEverywhere",
        policy=Policy("moderation:write_all", role=Role.ADMIN),
    )
    async def unmute_everywhere(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[NewReason],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Action:
        async with db.begin() as tx:
            row = await operations.mute_everywhere(
                tx, recording, principal, user_id, reason=data.reason, until=None
            )
            return _action(row)

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
