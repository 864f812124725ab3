"""HTTP of invites. Codes travel in bodies: addresses end up in logs."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from seda_db import Database
from seda_identity import Policy, Principal

from chat_realtime.invites import operations
from chat_realtime.invites.domain import CODE_LENGTH_MAX, USES_MAX
from chat_realtime.invites.store import ShownInvite, mine
from chat_realtime.log.operations import Recording

READ = Policy("room:read")
WRITE = Policy("room:write")
DEFAULT_LIFE = timedelta(days=7)
LISTED_MAX = 100


class NewInvite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whoever has the code, or for `user_id` alone. A week without `expires_at`."""

    user_id: UUID | None = None
    uses: Annotated[int, Meta(ge=1, le=USES_MAX)] = 1
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Annotated[str, Meta(min_length=1, max_length=CODE_LENGTH_MAX)]


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is told once, to who made it."""

    id: UUID
    room_id: UUID
    user_id: UUID | None
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    uses_left: int
    code: str | None = None


class InviteList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Invite]


class ShownInviteList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ShownInvite]


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    room_id: UUID


class InviteRoutes(Controller):
    path = "/api/v1/chat"

    @post("/rooms/{room_id:uuid}/invites", operation_id="CreateInvite", policy=WRITE)
    async def create_invite(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[NewInvite],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Invite:
        async with db.begin() as tx:
            row, code = await operations.create_invite(
                tx,
                recording,
                principal,
                room_id,
                user_id=data.user_id,
                uses=data.uses,
                expires_at=data.expires_at or recording.now() + DEFAULT_LIFE,
            )
        return msgspec.convert({**row.model_dump(), "code": code}, Invite)

    @get("/rooms/{room_id:uuid}/invites", operation_id="ListInvites", policy=READ)
    async def list_invites(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> InviteList:
        """The open ones, without their codes."""
        async with db.read() as tx:
            rows = await operations.read_invites(tx, principal, room_id, now=recording.now())
        return InviteList(items=[msgspec.convert(row.model_dump(), Invite) for row in rows])

    @delete(
        "/rooms/{room_id:uuid}/invites/{invite_id:uuid}",
        operation_id="RevokeInvite",
        policy=WRITE,
    )
    async def revoke_invite(
        self,
        room_id: FromPath[UUID],
        invite_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> None:
        async with db.begin() as tx:
            await operations.revoke_invite(tx, recording, principal, room_id, invite_id)

    @get("/invites", operation_id="ListMyInvites", policy=READ)
    async def list_my_invites(
        self,
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> ShownInviteList:
        """Those made for the caller alone."""
        async with db.read() as tx:
            user_id = principal.require_user()
            return ShownInviteList(
                items=await mine(tx, user_id, now=recording.now(), limit=LISTED_MAX)
            )

    @post("/invites/look", operation_id="LookAtInvite", policy=READ, status_code=200)
    async def look_at_invite(
        self,
        data: JSONBody[Code],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> ShownInvite:
        """What a code leads to."""
        async with db.read() as tx:
            return await operations.look_at_code(tx, principal, data.code, now=recording.now())

    @post("/invites/accept", operation_id="AcceptInvite", policy=WRITE, status_code=200)
    async def accept_invite(
        self,
        data: JSONBody[Code],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Entered:
        async with db.begin() as tx:
            return Entered(
                room_id=await operations.accept_code(tx, recording, principal, data.code)
            )

    @post(
        "/invites/{invite_id:uuid}/accept",
        operation_id="AcceptPersonalInvite",
        policy=WRITE,
        status_code=200,
    )
    async def accept_personal_invite(
        self,
        invite_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Entered:
        async with db.begin() as tx:
            return Entered(
                room_id=await operations.accept_personal(tx, recording, principal, invite_id)
            )
