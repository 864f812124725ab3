"""HTTP of rooms and memberships: decode, one transaction, one operation, encode."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from seda_contracts.realtime import EventFrame
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.log.domain import SEQ_MAX
from chat_realtime.log.operations import Recording
from chat_realtime.rooms import operations
from chat_realtime.rooms.domain import (
    DESCRIPTION_LENGTH_MAX,
    NAME_LENGTH_MAX,
    SLOW_MODE_SECONDS_MAX,
    RoleName,
)
from chat_realtime.rooms.store import ListedMember, ListedRoom, listed_rooms
from chat_realtime.tables import MembershipRow, RoomRow

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
Description = Annotated[str, Meta(max_length=DESCRIPTION_LENGTH_MAX)]
SlowModeSeconds = Annotated[int, Meta(ge=0, le=SLOW_MODE_SECONDS_MAX)]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
EventsLimit = Annotated[int, QueryParameter(ge=1, le=500)]
Seq = Annotated[int, QueryParameter(ge=0, le=SEQ_MAX)]

READ = Policy("room:read")
WRITE = Policy("room:write")


class NewRoom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    description: Description = ""
    is_private: bool = False


class RoomChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | None = None
    description: Description | None = None
    archived: bool | None = None
    locked: bool | None = None
    """Only moderators speak."""
    slow_mode_seconds: SlowModeSeconds | None = None


class NewMember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user_id: UUID


class NewRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: RoleName


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's own place in a room."""

    role: RoleName
    joined_at: datetime
    muted_until: datetime | None
    read_seq: int


class Room(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    description: str
    is_private: bool
    archived: bool
    locked: bool
    slow_mode_seconds: int
    created_by: UUID
    created_at: datetime
    ep: str
    last_seq: int
    membership: Membership | None = None


class RoomList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ListedRoom]
    next_cursor: str | None


class MemberList(msgspec.Struct, frozen=True, kw_only=True):
    """`ep` and `seq` are the room's position when the page was read."""

    items: list[ListedMember]
    ep: str
    seq: int
    next_cursor: str | None


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Events in the form sockets carry. `seq` is the room's head when they were read."""

    items: list[EventFrame]
    ep: str
    seq: int
    next_cursor: str | None


class RoomRoutes(Controller):
    path = "/api/v1/chat/rooms"

    @post(operation_id="CreateRoom", policy=WRITE)
    async def create_room(
        self,
        data: JSONBody[NewRoom],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Room:
        async with db.begin() as tx:
            room = await operations.create_room(
                tx,
                recording,
                principal,
                name=data.name,
                description=data.description,
                is_private=data.is_private,
            )
            room, membership = await operations.read_room(
                tx, principal, room.id, now=recording.now()
            )
        return _room(room, membership)

    @get(operation_id="ListRooms", policy=READ)
    async def list_rooms(
        self,
        db: NamedDependency[Database],
        principal: NamedDependency[Principal],
        mine: FromQuery[bool] = False,
        limit: Limit = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> RoomList:
        """Public rooms and the caller's own; `mine` leaves only those joined."""
        async with db.read() as tx:
            items = await listed_rooms(
                tx, principal.require_user(), mine=mine, after_id=cursor, limit=limit
            )
        return RoomList(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)

    @get("/{room_id:uuid}", operation_id="GetRoom", policy=READ)
    async def get_room(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Room:
        async with db.read() as tx:
            return _room(*await operations.read_room(tx, principal, room_id, now=recording.now()))

    @patch("/{room_id:uuid}", operation_id="UpdateRoom", policy=WRITE)
    async def update_room(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[RoomChanges],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Room:
        async with db.begin() as tx:
            await operations.update_room(
                tx,
                recording,
                principal,
                room_id,
                name=data.name,
                description=data.description,
                archived=data.archived,
                locked=data.locked,
                slow_mode_seconds=data.slow_mode_seconds,
            )
        return await self._read(db, recording, principal, room_id)

    @post("/{room_id:uuid}/join", operation_id="JoinRoom", policy=WRITE, status_code=200)
    async def join_room(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Room:
        async with db.begin() as tx:
            await operations.join_room(tx, recording, principal, room_id)
        return await self._read(db, recording, principal, room_id)

    @post("/{room_id:uuid}/leave", operation_id="LeaveRoom", policy=WRITE, status_code=204)
    async def leave_room(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> None:
        async with db.begin() as tx:
            await operations.leave_room(tx, recording, principal, room_id)

    @get("/{room_id:uuid}/members", operation_id="ListMembers", policy=READ)
    async def list_members(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        prefix: Annotated[str | None, QueryParameter(pattern=r"^[A-Za-z0-9_-]{1,30}$")] = None,
        limit: Limit = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> MemberList:
        """`prefix` is how a handle begins, for completing a mention."""
        async with db.read() as tx:
            items, position = await operations.read_members(
                tx,
                principal,
                room_id,
                prefix=prefix,
                after_id=cursor,
                limit=limit,
                now=recording.now(),
            )
        return MemberList(
            items=items,
            ep=position.epoch,
            seq=position.seq,
            next_cursor=str(items[-1].user_id) if len(items) == limit else None,
        )

    @post("/{room_id:uuid}/members", operation_id="AddMember", policy=WRITE, status_code=204)
    async def add_member(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[NewMember],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> None:
        """Let somebody into the room: the way into a private one."""
        async with db.begin() as tx:
            await operations.add_member(tx, recording, principal, room_id, data.user_id)

    @patch(
        "/{room_id:uuid}/members/{user_id:uuid}",
        operation_id="SetMemberRole",
        policy=WRITE,
        status_code=204,
    )
    async def set_role(
        self,
        room_id: FromPath[UUID],
        user_id: FromPath[UUID],
        data: JSONBody[NewRole],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> None:
        async with db.begin() as tx:
            await operations.set_role(tx, recording, principal, room_id, user_id, data.role)

    @get("/{room_id:uuid}/events", operation_id="ListEvents", policy=READ)
    async def list_events(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        after_seq: Seq = 0,
        limit: EventsLimit = 100,
    ) -> EventList:
        async with db.read() as tx:
            events, position = await operations.read_events(
                tx, principal, room_id, after_seq=after_seq, limit=limit, now=recording.now()
            )
        return EventList(
            items=events,
            ep=position.epoch,
            seq=position.seq,
            next_cursor=str(events[-1].seq) if len(events) == limit else None,
        )

    async def _read(
        self, db: Database, recording: Recording, principal: Principal, room_id: UUID
    ) -> Room:
        async with db.read() as tx:
            return _room(*await operations.read_room(tx, principal, room_id, now=recording.now()))


def _room(room: RoomRow, membership: MembershipRow | None) -> Room:
    return Room(
        id=room.id,
        name=room.name,
        description=room.description,
        is_private=room.is_private,
        archived=room.archived,
        locked=room.locked,
        slow_mode_seconds=room.slow_mode_seconds,
        created_by=room.created_by,
        created_at=room.created_at,
        ep=room.epoch,
        last_seq=room.last_seq,
        membership=membership
        and Membership(
            role=membership.role,  # type: ignore[arg-type]  # a CHECK constraint keeps it one
            joined_at=membership.joined_at,
            muted_until=membership.muted_until,
            read_seq=membership.read_seq,
        ),
    )
