"""Act on a person or a message in a room, and keep who did it and why.

The effect, the room's log, the moderation log and the event commit together. Kick and ban raise the
room's rights epoch, so no process delivers anything later to who is gone.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from seda_contracts.events.chat import AccountMuted, ModerationActionTaken
from seda_contracts.live import user_subject
from seda_identity import Principal
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log.domain import Change
from chat_realtime.log.operations import Recording, record_one
from chat_realtime.messages import store as messages_store
from chat_realtime.messages.domain import MessageNotFound
from chat_realtime.messages.operations import bury_message
from chat_realtime.moderation import store
from chat_realtime.moderation.domain import (
    BULK_MESSAGES_MAX,
    ActKind,
    CannotModerateSelf,
    MutedEverywhere,
    NothingToDelete,
    check_may_act,
    check_slow_mode,
    check_until,
    clean_reason,
)
from chat_realtime.rooms import store as rooms_store
from chat_realtime.rooms.domain import PersonNotFound, Rank, Standing
from chat_realtime.rooms.operations import change_room, lock_standing, remove_member, standing_of
from chat_realtime.tables import MessageRow, ModerationActionRow


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What a moderator wants done. `message_id` is for deletions, `seconds` for slow mode,
    `user_id` for what is done to a person.
    """

    kind: ActKind
    reason: str
    user_id: UUID | None = None
    message_id: UUID | None = None
    until: datetime | None = None
    seconds: int | None = None


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by their ids, or what `user_id` said from `since` on."""

    reason: str
    message_ids: list[UUID] = []
    user_id: UUID | None = None
    since: datetime | None = None


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """`more` says that there was more than one call deletes."""

    message_ids: list[UUID]
    more: bool


async def act(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, wanted: Act
) -> ModerationActionRow:
    reason = clean_reason(wanted.reason)
    now = recording.now()
    check_until(wanted.until, now=now, is_needed=wanted.kind == "mute")
    standing = await lock_standing(tx, room_id, principal)
    standing.check_known(now)
    standing.check_rank(Rank.MODERATOR)
    match wanted.kind:
        case "delete_message":
            message = await _message_to_delete(tx, room_id, wanted.message_id)
            return await _delete_message(tx, recording, principal, standing, message, reason)
        case "slow" | "lock" | "unlock":
            return await _act_on_room(tx, recording, principal, room_id, wanted, reason)
        case "mute" | "unmute" | "kick" | "ban" | "unban":
            await _act_on_person(tx, recording, principal, standing, room_id, wanted)
    action = ModerationActionRow(
        id=uuid7(),
        room_id=room_id,
        kind=wanted.kind,
        user_id=wanted.user_id,
        moderator_id=principal.require_user(),
        reason=reason,
        until=wanted.until,
        taken_at=now,
    )
    return await _keep(tx, recording, action)


async def delete_many(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, bulk: Bulk
) -> Deleted:
    """Up to a hundred messages in one transaction, each with its own event and its own row of the
    moderation log. One that may not be deleted keeps all the others from being.
    """
    reason = clean_reason(bulk.reason)
    standing = await lock_standing(tx, room_id, principal)
    standing.check_known(recording.now())
    standing.check_rank(Rank.MODERATOR)
    if bulk.message_ids:
        found = await messages_store.messages_in_room(tx, room_id, bulk.message_ids)
    elif bulk.user_id is not None and bulk.since is not None:
        found = await messages_store.messages_since(
            tx, room_id, bulk.user_id, since=bulk.since, limit=BULK_MESSAGES_MAX + 1
        )
    else:
        raise NothingToDelete
    for message in found[:BULK_MESSAGES_MAX]:
        await _delete_message(tx, recording, principal, standing, message, reason)
    return Deleted(
        message_ids=[message.id for message in found[:BULK_MESSAGES_MAX]],
        more=len(found) > BULK_MESSAGES_MAX,
    )


async def mute_everywhere(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    user_id: UUID,
    *,
    reason: str,
    until: datetime | None,
) -> ModerationActionRow:
    """Take somebody's voice in every room until then; give it back when `until` is None. The
    route's policy lets administrators alone get here.
    """
    reason = clean_reason(reason)
    now = recording.now()
    check_until(until, now=now, is_needed=False)
    if user_id == principal.user_id:
        raise CannotModerateSelf
    await store.put_global_mute(tx, user_id, until=until)
    action = ModerationActionRow(
        id=uuid7(),
        kind="unmute_everywhere" if until is None else "mute_everywhere",
        user_id=user_id,
        moderator_id=principal.require_user(),
        reason=reason,
        until=until,
        taken_at=now,
    )
    store.add_action(tx, action)
    event = AccountMuted(
        action_id=action.id,
        user_id=user_id,
        moderator_id=action.moderator_id,
        until=until,
        taken_at=now,
    )
    await recording.outbox.add(tx, event)
    notice = MutedEverywhere(user_id=user_id, until=until)
    recording.signals.stage(tx, user_subject(user_id), msgspec.json.encode(notice))
    return action


async def read_actions(
    tx: AsyncSession,
    principal: Principal,
    room_id: UUID,
    *,
    before_id: UUID | None,
    limit: int,
    now: datetime,
) -> list[ModerationActionRow]:
    """The log of one room, with the reasons, for those who moderate it."""
    standing = await standing_of(tx, room_id, principal)
    standing.check_known(now)
    standing.check_rank(Rank.MODERATOR)
    return await store.actions(tx, room_id=room_id, before_id=before_id, limit=limit)


async def read_all_actions(
    tx: AsyncSession, *, before_id: UUID | None, limit: int
) -> list[ModerationActionRow]:
    """Every room's log. The route's policy lets administrators alone get here."""
    return await store.actions(tx, room_id=None, before_id=before_id, limit=limit)


async def _message_to_delete(
    tx: AsyncSession, room_id: UUID, message_id: UUID | None
) -> MessageRow:
    message: MessageRow | None = None
    if message_id is not None:
        message = await messages_store.message_in_room(tx, room_id, message_id)
    if message is None:
        raise MessageNotFound
    return message


async def _delete_message(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    standing: Standing,
    message: MessageRow,
    reason: str,
) -> ModerationActionRow:
    if message.author_id != principal.user_id:
        author = await rooms_store.standing(tx, message.room_id, message.author_id)
        assert author is not None
        check_may_act(standing, author, on_self=False)
    await bury_message(tx, recording, message, deleted_by=principal.require_user())
    action = ModerationActionRow(
        id=uuid7(),
        room_id=message.room_id,
        kind="delete_message",
        user_id=message.author_id,
        message_id=message.id,
        moderator_id=principal.require_user(),
        reason=reason,
        taken_at=recording.now(),
    )
    return await _keep(tx, recording, action)


async def _act_on_room(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    wanted: Act,
    reason: str,
) -> ModerationActionRow:
    """What the room is told is `room.updated`; the log keeps who did it, and why."""
    seconds = check_slow_mode(wanted.seconds) if wanted.kind == "slow" else None
    changed: dict[str, bool | int] = (
        {"locked": wanted.kind == "lock"} if seconds is None else {"slow_mode_seconds": seconds}
    )
    await change_room(tx, recording, room_id, changed)
    action = ModerationActionRow(
        id=uuid7(),
        room_id=room_id,
        kind=wanted.kind,
        moderator_id=principal.require_user(),
        reason=reason,
        seconds=seconds,
        taken_at=recording.now(),
    )
    store.add_action(tx, action)
    return action


async def _keep(
    tx: AsyncSession, recording: Recording, action: ModerationActionRow
) -> ModerationActionRow:
    """Into the log, and told to other services. Of a room and a person."""
    assert action.room_id is not None
    assert action.user_id is not None
    store.add_action(tx, action)
    event = ModerationActionTaken(
        action_id=action.id,
        kind=action.kind,  # type: ignore[arg-type]  # one of those that are done to a person
        user_id=action.user_id,
        room_id=action.room_id,
        moderator_id=action.moderator_id,
        until=action.until,
        taken_at=action.taken_at,
    )
    await recording.outbox.add(tx, event)
    return action


async def _act_on_person(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    standing: Standing,
    room_id: UUID,
    wanted: Act,
) -> None:
    if wanted.user_id is None:
        raise PersonNotFound
    user_id = wanted.user_id
    row = await rooms_store.membership(tx, room_id, user_id)
    target = await rooms_store.standing(tx, room_id, user_id)
    if row is None or target is None:
        raise PersonNotFound
    check_may_act(standing, target, on_self=user_id == principal.user_id)
    now = recording.now()
    match wanted.kind:
        case "kick":
            if not target.is_member(now):
                raise PersonNotFound
            await remove_member(tx, recording, room_id, user_id, reason="kicked")
        case "ban":
            row.banned_at, row.banned_until = now, wanted.until
            until = wanted.until.isoformat() if wanted.until else None
            await remove_member(
                tx, recording, room_id, user_id, reason="banned", extra={"until": until}
            )
        case "unban":
            row.banned_at = row.banned_until = None
            await _note(tx, recording, room_id, wanted)
        case "mute" | "unmute":
            row.muted_until = wanted.until if wanted.kind == "mute" else None
            await _note(tx, recording, room_id, wanted)


async def _note(tx: AsyncSession, recording: Recording, room_id: UUID, wanted: Act) -> None:
    """What the room sees of it. The reason stays in the moderation log."""
    await tx.flush()
    change = Change(
        type="mod.action",
        data={
            "kind": wanted.kind,
            "user_id": str(wanted.user_id),
            "until": wanted.until.isoformat() if wanted.until else None,
        },
    )
    await record_one(tx, recording, room_id, change)
