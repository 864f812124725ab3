"""Invite, look, accept, revoke."""

import secrets
from datetime import datetime
from uuid import UUID

from seda_identity import Principal
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.invites import store
from chat_realtime.invites.domain import (
    CODE_BYTES,
    INVITES_MAX,
    InviteNotFound,
    TooManyInvites,
    check_life,
    code_digest,
)
from chat_realtime.invites.store import ShownInvite
from chat_realtime.log.operations import Recording
from chat_realtime.rooms.domain import Banned, Rank
from chat_realtime.rooms.operations import admit, lock_standing, standing_of
from chat_realtime.tables import InviteRow


async def create_invite(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    *,
    user_id: UUID | None,
    uses: int,
    expires_at: datetime,
) -> tuple[InviteRow, str]:
    """The invite and its code, which nobody is told again."""
    now = recording.now()
    check_life(expires_at, now=now)
    standing = await lock_standing(tx, room_id, principal)
    standing.check_member(now)
    standing.check_open()
    standing.check_rank(Rank.MODERATOR)
    if await store.count_open(tx, room_id, now=now) >= INVITES_MAX:
        raise TooManyInvites
    code = secrets.token_urlsafe(CODE_BYTES)
    invite = InviteRow(
        id=uuid7(),
        room_id=room_id,
        code_sha256=code_digest(code),
        user_id=user_id,
        created_by=principal.require_user(),
        created_at=now,
        expires_at=expires_at,
        uses_left=1 if user_id is not None else uses,
    )
    tx.add(invite)
    return invite, code


async def revoke_invite(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, invite_id: UUID
) -> None:
    standing = await lock_standing(tx, room_id, principal)
    standing.check_member(recording.now())
    standing.check_rank(Rank.MODERATOR)
    if not await store.remove(tx, room_id, invite_id):
        raise InviteNotFound


async def read_invites(
    tx: AsyncSession, principal: Principal, room_id: UUID, *, now: datetime
) -> list[InviteRow]:
    standing = await standing_of(tx, room_id, principal)
    standing.check_member(now)
    standing.check_rank(Rank.MODERATOR)
    return await store.of_room(tx, room_id, now=now)


async def look_at_code(
    tx: AsyncSession, principal: Principal, code: str, *, now: datetime
) -> ShownInvite:
    found = await store.by_code(tx, code_digest(code), principal.require_user(), now=now)
    if found is None:
        raise InviteNotFound
    return found


async def accept_code(
    tx: AsyncSession, recording: Recording, principal: Principal, code: str
) -> UUID:
    """The room the caller is a member of now."""
    now = recording.now()
    return await _accept(tx, recording, principal, await look_at_code(tx, principal, code, now=now))


async def accept_personal(
    tx: AsyncSession, recording: Recording, principal: Principal, invite_id: UUID
) -> UUID:
    found = await store.by_id(tx, invite_id, principal.require_user(), now=recording.now())
    if found is None:
        raise InviteNotFound
    return await _accept(tx, recording, principal, found)


async def _accept(
    tx: AsyncSession, recording: Recording, principal: Principal, invite: ShownInvite
) -> UUID:
    now = recording.now()
    standing = await lock_standing(tx, invite.room_id, principal)
    if standing.is_banned(now):
        raise Banned
    if standing.is_member(now):
        return invite.room_id
    if standing.archived or not await store.use(tx, invite.id, now=now):
        raise InviteNotFound
    await admit(tx, recording, invite.room_id, principal.require_user())
    return invite.room_id
