"""Act on a person or a message in a room, and keep who did it and why.

The effect, the room's log, the moderation log and the event commit together. Kick and ban raise the
room's rights epoch, so no process delivers anything later to who is gone.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from seda_contracts.events.chat import ModerationActionTaken, ModerationKind
from seda_identity import Principal
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log.domain import Change
from chat_realtime.log.operations import Recording, record_one
from chat_realtime.messages import store as messages_store
from chat_realtime.messages.domain import MessageNotFound
from chat_realtime.messages.operations import bury_message
from chat_realtime.moderation import store
from chat_realtime.moderation.domain import check_may_act, check_until, clean_reason
from chat_realtime.rooms import store as rooms_store
from chat_realtime.rooms.domain import PersonNotFound, Rank, Standing
from chat_realtime.rooms.operations import lock_standing, remove_member, standing_of
from chat_realtime.tables import MessageRow, ModerationActionRow


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What a moderator wants done. `message_id` is for deletions, `user_id` for the rest."""

    kind: ModerationKind
    reason: str
    user_id: UUID | None = None
    message_id: UUID | None = None
    until: datetime | None = None


async def act(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, wanted: Act
) -> ModerationActionRow:
    reason = clean_reason(wanted.reason)
    now = recording.now()
    check_until(wanted.until, now=now, is_needed=wanted.kind == "mute")
    standing = await lock_standing(tx, room_id, principal)
    standing.check_known(now)
    standing.check_rank(Rank.MODERATOR)
    if wanted.kind == "delete_message":
        user_id = await _delete_message(tx, recording, principal, standing, room_id, wanted)
    else:
        user_id = await _act_on_person(tx, recording, principal, standing, room_id, wanted)
    action = ModerationActionRow(
        id=uuid7(),
        room_id=room_id,
        kind=wanted.kind,
        user_id=user_id,
        message_id=wanted.message_id if wanted.kind == "delete_message" else None,
        moderator_id=principal.require_user(),
        reason=reason,
        until=wanted.until,
        taken_at=now,
    )
    store.add_action(tx, action)
    await recording.outbox.add(
        tx,
        ModerationActionTaken(
            action_id=action.id,
            kind=wanted.kind,
            user_id=user_id,
            room_id=room_id,
            moderator_id=action.moderator_id,
            until=wanted.until,
            taken_at=now,
        ),
    )
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


async def _delete_message(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    standing: Standing,
    room_id: UUID,
    wanted: Act,
) -> UUID:
    message: MessageRow | None = None
    if wanted.message_id is not None:
        message = await messages_store.message_in_room(tx, room_id, wanted.message_id)
    if message is None:
        raise MessageNotFound
    author_id = message.author_id
    if author_id != principal.user_id:
        author = await rooms_store.standing(tx, room_id, author_id)
        assert author is not None
        check_may_act(standing, author, on_self=False)
    await bury_message(tx, recording, message, deleted_by=principal.require_user())
    return author_id


async def _act_on_person(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    standing: Standing,
    room_id: UUID,
    wanted: Act,
) -> UUID:
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
    return user_id


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
