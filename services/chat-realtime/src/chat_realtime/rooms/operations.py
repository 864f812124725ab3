"""What can be done with rooms and memberships. The same for HTTP, the socket and tests."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from seda_contracts.events.chat import MemberJoined, MemberLeft, RoomCreated, RoomUpdated
from seda_contracts.realtime import EventFrame
from seda_identity import Principal, Role
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log.domain import Change, Position
from chat_realtime.log.operations import Recording, missed, record, record_one
from chat_realtime.log.store import positions
from chat_realtime.people import store as people_store
from chat_realtime.rooms import store
from chat_realtime.rooms.domain import (
    DESCRIPTION_LENGTH_MAX,
    NAME_LENGTH_MAX,
    Banned,
    OwnerCannotLeave,
    PersonNotFound,
    Rank,
    RankTooLow,
    RoleName,
    RoomNotFound,
    Standing,
    clean_line,
)
from chat_realtime.tables import MembershipRow, RoomRow

LeaveReason = Literal["left", "kicked", "banned"]


async def standing_of(tx: AsyncSession, room_id: UUID, principal: Principal) -> Standing:
    """Raises RoomNotFound."""
    found = await store.standing(
        tx,
        room_id,
        principal.require_user(),
        is_platform_admin=principal.role >= Role.ADMIN,
    )
    if found is None:
        raise RoomNotFound
    return found


async def lock_standing(tx: AsyncSession, room_id: UUID, principal: Principal) -> Standing:
    """Lock the room, then look: a mute or ban that came first is seen, a later one waits."""
    if await store.lock_room(tx, room_id) is None:
        raise RoomNotFound
    return await standing_of(tx, room_id, principal)


async def create_room(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    *,
    name: str,
    description: str = "",
    is_private: bool = False,
) -> RoomRow:
    owner_id = principal.require_user()
    now = recording.now()
    room = RoomRow(
        id=uuid7(),
        name=clean_line(name, what="The name", length_min=1, length_max=NAME_LENGTH_MAX),
        description=clean_line(
            description, what="The description", length_max=DESCRIPTION_LENGTH_MAX
        ),
        is_private=is_private,
        created_by=owner_id,
        created_at=now,
    )
    tx.add(room)
    await tx.flush()
    membership = MembershipRow(room_id=room.id, user_id=owner_id, role="owner", joined_at=now)
    tx.add(membership)
    created = await record_one(
        tx,
        recording,
        room.id,
        Change(
            type="room.created",
            data={
                "name": room.name,
                "owner_id": str(owner_id),
                "description": room.description,
                "is_private": is_private,
                "created_at": now.isoformat(),
            },
        ),
    )
    joined = await record_one(tx, recording, room.id, _joined(membership))
    await recording.outbox.add(
        tx,
        RoomCreated(
            room_id=room.id,
            owner_id=owner_id,
            is_private=is_private,
            seq=created.seq,
            created_at=now,
        ),
    )
    await recording.outbox.add(tx, _member_joined(room.id, owner_id, "owner", joined.seq, now))
    await tx.refresh(room)
    return room


async def update_room(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    archived: bool | None = None,
    locked: bool | None = None,
    slow_mode_seconds: int | None = None,
) -> None:
    standing = await lock_standing(tx, room_id, principal)
    standing.check_known(recording.now())
    standing.check_rank(Rank.MODERATOR)
    if archived is not None:
        standing.check_rank(Rank.OWNER)
    wanted: dict[str, str | bool | int] = {}
    if name is not None:
        wanted["name"] = clean_line(name, what="The name", length_min=1, length_max=NAME_LENGTH_MAX)
    if description is not None:
        wanted["description"] = clean_line(
            description, what="The description", length_max=DESCRIPTION_LENGTH_MAX
        )
    settings = {"archived": archived, "locked": locked, "slow_mode_seconds": slow_mode_seconds}
    wanted |= {field: value for field, value in settings.items() if value is not None}
    await change_room(tx, recording, room_id, wanted)


async def change_room(
    tx: AsyncSession,
    recording: Recording,
    room_id: UUID,
    wanted: Mapping[str, str | bool | int],
) -> None:
    """Set fields of a locked room and tell it of those that are others now."""
    room = await store.room(tx, room_id)
    assert room is not None
    changed = {field: value for field, value in wanted.items() if getattr(room, field) != value}
    if not changed:
        return
    for field, value in changed.items():
        setattr(room, field, value)
    await tx.flush()
    entry = await record_one(tx, recording, room_id, Change(type="room.updated", data=changed))
    await recording.outbox.add(
        tx,
        RoomUpdated(room_id=room_id, changed=sorted(changed), seq=entry.seq, updated_at=entry.at),
    )


async def join_room(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID
) -> None:
    """Anyone may join a public room; into a private one somebody must add you."""
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    if standing.is_banned(now):
        raise Banned
    standing.check_known(now)
    if not standing.is_member(now):
        await admit(tx, recording, room_id, principal.require_user())


async def add_member(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, user_id: UUID
) -> None:
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    standing.check_known(now)
    standing.check_rank(Rank.MODERATOR)
    theirs = await store.standing(tx, room_id, user_id)
    assert theirs is not None
    if theirs.is_banned(now):
        raise Banned
    if await people_store.has_blocked(tx, user_id, blocked_id=principal.require_user()):
        raise PersonNotFound
    if not theirs.is_member(now):
        await admit(tx, recording, room_id, user_id)


async def leave_room(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID
) -> None:
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    standing.check_known(now)
    if not standing.is_member(now):
        return
    if standing.role == "owner":
        raise OwnerCannotLeave
    await remove_member(tx, recording, room_id, principal.require_user(), reason="left")


async def set_role(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    user_id: UUID,
    role: RoleName,
) -> None:
    """Only the owner makes and unmakes moderators, or makes somebody else the owner."""
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    standing.check_known(now)
    standing.check_rank(Rank.OWNER)
    theirs = await store.standing(tx, room_id, user_id)
    assert theirs is not None
    if not theirs.is_member(now):
        raise PersonNotFound
    if theirs.role == role:
        return
    if theirs.role == "owner":
        raise RankTooLow
    roles: dict[UUID, RoleName] = {user_id: role}
    if role == "owner":
        roles[await store.owner(tx, room_id)] = "moderator"
    changes = []
    for member_id, new_role in roles.items():
        row = await store.membership(tx, room_id, member_id)
        assert row is not None
        row.role = new_role
        data = {"user_id": str(member_id), "role": new_role}
        changes.append(Change(type="member.role", data=data))
    await tx.flush()
    await record(tx, recording, room_id, changes, narrows=True)


async def remove_member(
    tx: AsyncSession,
    recording: Recording,
    room_id: UUID,
    user_id: UUID,
    *,
    reason: LeaveReason,
    extra: dict[str, str | None] | None = None,
) -> None:
    """End a membership in a locked room. The rights epoch rises, so listening ends everywhere."""
    row = await store.membership(tx, room_id, user_id)
    assert row is not None
    row.left_at = recording.now()
    row.role = "member"
    await tx.flush()
    change = Change(type=f"member.{reason}", data={"user_id": str(user_id), **(extra or {})})
    entry = await record_one(tx, recording, room_id, change, narrows=True)
    await recording.outbox.add(
        tx,
        MemberLeft(
            room_id=room_id,
            user_id=user_id,
            reason=reason,
            seq=entry.seq,
            left_at=entry.at,
        ),
    )


async def read_room(
    tx: AsyncSession, principal: Principal, room_id: UUID, *, now: datetime
) -> tuple[RoomRow, MembershipRow | None]:
    standing = await standing_of(tx, room_id, principal)
    standing.check_known(now)
    room = await store.room(tx, room_id)
    assert room is not None
    row = await store.membership(tx, room_id, principal.require_user())
    return room, row if standing.is_member(now) else None


async def read_members(
    tx: AsyncSession,
    principal: Principal,
    room_id: UUID,
    *,
    prefix: str | None,
    after_id: UUID | None,
    limit: int,
    now: datetime,
) -> tuple[list[store.ListedMember], Position]:
    """With where the room stands at the same moment."""
    (await standing_of(tx, room_id, principal)).check_member(now)
    position = (await positions(tx, [room_id]))[room_id]
    members = await store.listed_members(tx, room_id, prefix=prefix, after_id=after_id, limit=limit)
    return members, position


async def read_events(
    tx: AsyncSession,
    principal: Principal,
    room_id: UUID,
    *,
    after_seq: int,
    limit: int,
    now: datetime,
) -> tuple[list[EventFrame], Position]:
    """What a member missed, with where the room stands at the same moment."""
    (await standing_of(tx, room_id, principal)).check_member(now)
    position = (await positions(tx, [room_id]))[room_id]
    return await missed(tx, room_id, after_seq=after_seq, limit=limit), position


async def admit(tx: AsyncSession, recording: Recording, room_id: UUID, user_id: UUID) -> None:
    """Make somebody a member of a locked room."""
    now = recording.now()
    row = await store.membership(tx, room_id, user_id)
    if row is None:
        row = MembershipRow(room_id=room_id, user_id=user_id, role="member", joined_at=now)
        tx.add(row)
    else:
        # A ban that has run out ends here; a mute goes on.
        row.joined_at, row.left_at, row.banned_at, row.banned_until = now, None, None, None
    await tx.flush()
    entry = await record_one(tx, recording, room_id, _joined(row))
    await recording.outbox.add(tx, _member_joined(room_id, user_id, "member", entry.seq, now))


def _joined(row: MembershipRow) -> Change:
    return Change(
        type="member.joined",
        author_id=row.user_id,
        data={
            "user_id": str(row.user_id),
            "role": row.role,
            "joined_at": row.joined_at.isoformat(),
            "muted_until": row.muted_until.isoformat() if row.muted_until else None,
        },
    )


def _member_joined(
    room_id: UUID, user_id: UUID, role: RoleName, seq: int, joined_at: datetime
) -> MemberJoined:
    return MemberJoined(room_id=room_id, user_id=user_id, role=role, seq=seq, joined_at=joined_at)
