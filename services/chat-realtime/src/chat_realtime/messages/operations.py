"""Edit, delete, react, read. HTTP and the socket call the same functions; to send is `sending`."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from seda_contracts.events.chat import (
    MessageDeleted,
    MessageEdited,
    ReactionAdded,
    ReactionRemoved,
)
from seda_db import OneRead
from seda_identity import Principal, Role
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.attention import store as attention_store
from chat_realtime.attention.domain import find_mentions
from chat_realtime.attention.operations import tell_attention
from chat_realtime.cards import store as cards_store
from chat_realtime.cards.domain import find_links, links_and_cards
from chat_realtime.cards.operations import known_cards, shared_links, tie_links
from chat_realtime.log import store as log_store
from chat_realtime.log.domain import DELETED, Change
from chat_realtime.log.operations import Recording, record_one
from chat_realtime.messages import store
from chat_realtime.messages.domain import (
    EMOJI_KINDS_MAX,
    REVISIONS_MAX,
    MessageNotFound,
    NotAuthor,
    TooManyReactions,
    check_emoji,
    check_text,
)
from chat_realtime.messages.store import Page
from chat_realtime.rooms.domain import Rank, RoomNotFound, Standing
from chat_realtime.rooms.operations import lock_standing, standing_of
from chat_realtime.tables import MessageRow, RevisionRow

REPLIES_SHOWN_MAX = 3


async def edit_message(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    message_id: UUID,
    *,
    text: str,
) -> int:
    """The room's seq of the edit; when nothing changes there is none, and it is the message's."""
    check_text(text)
    links = find_links(text)
    await cards_store.hold_cards(tx, [link.link_id for link in links])
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    standing.check_may_speak(now)
    message = await _message(tx, room_id, message_id)
    if message.author_id != principal.user_id:
        raise NotAuthor
    if message.text == text:
        return message.seq
    await store.keep_revision(tx, message, now=now, revisions_max=REVISIONS_MAX)
    message.text = text
    message.edit_version += 1
    message.edited_at = now
    await tx.flush()
    shown = await known_cards(tx, links)
    await cards_store.remove_links(tx, message_id)
    await tie_links(tx, recording, room_id=room_id, message_id=message_id, links=links, shown=shown)
    mentions = await attention_store.name_people(
        tx,
        room_id=room_id,
        message_id=message_id,
        seq=message.seq,
        author_id=message.author_id,
        handles=find_mentions(text),
        now=now,
    )
    change = Change(
        type="message.edited",
        message_id=message_id,
        data={
            "message_id": str(message_id),
            "text": text,
            "edit_version": message.edit_version,
            "edited_at": now.isoformat(),
            "mentions": [str(user_id) for user_id in mentions],
            **links_and_cards(links, shown),
        },
    )
    entry = await record_one(tx, recording, room_id, change)
    for user_id in mentions:
        tell_attention(tx, recording, user_id, room_id)
    await recording.outbox.add(
        tx,
        MessageEdited(
            room_id=room_id,
            message_id=message_id,
            author_id=message.author_id,
            seq=entry.seq,
            edit_version=message.edit_version,
            links=shared_links(links),
            edited_at=now,
            in_private_room=standing.is_private,
        ),
    )
    return entry.seq


async def delete_message(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, message_id: UUID
) -> int:
    """An author takes a message back; moderators do it through the moderation log."""
    standing = await lock_standing(tx, room_id, principal)
    standing.check_member(recording.now())
    message = await _message(tx, room_id, message_id)
    if message.author_id != principal.user_id:
        raise NotAuthor
    return await bury_message(tx, recording, message, deleted_by=principal.require_user())


async def bury_message(
    tx: AsyncSession, recording: Recording, message: MessageRow, *, deleted_by: UUID
) -> int:
    """Leave a tombstone in a locked room: the words go here and from what the log had kept."""
    now = recording.now()
    message.text = ""
    message.deleted_at = now
    message.deleted_by = deleted_by
    await tx.flush()
    await cards_store.remove_links(tx, message.id)
    await store.remove_what_hangs_on(tx, message.id)
    await log_store.forget_words(tx, message.id)
    change = Change(
        type=DELETED,
        message_id=message.id,
        data={
            "message_id": str(message.id),
            "deleted_by": str(deleted_by),
            "deleted_at": now.isoformat(),
        },
    )
    entry = await record_one(tx, recording, message.room_id, change)
    await recording.outbox.add(
        tx,
        MessageDeleted(
            room_id=message.room_id,
            message_id=message.id,
            author_id=message.author_id,
            deleted_by=deleted_by,
            seq=entry.seq,
            deleted_at=now,
        ),
    )
    return entry.seq


async def react(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    message_id: UUID,
    *,
    emoji: str,
) -> int | None:
    """The room's seq of the change, or None when the reaction was there already."""
    check_emoji(emoji)
    user_id = principal.require_user()
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    standing.check_may_speak(now)
    await _message(tx, room_id, message_id)
    if await store.other_emoji_kinds(tx, message_id, emoji) >= EMOJI_KINDS_MAX:
        raise TooManyReactions
    if not await store.add_reaction(
        tx, message_id=message_id, user_id=user_id, emoji=emoji, now=now
    ):
        return None
    seq = await _record_reaction(tx, recording, room_id, message_id, user_id, emoji, "added")
    event = ReactionAdded(
        room_id=room_id, message_id=message_id, user_id=user_id, emoji=emoji, seq=seq, added_at=now
    )
    await recording.outbox.add(tx, event)
    return seq


async def unreact(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    message_id: UUID,
    *,
    emoji: str,
) -> int | None:
    """The room's seq of the change, or None when there was no such reaction."""
    check_emoji(emoji)
    user_id = principal.require_user()
    standing = await lock_standing(tx, room_id, principal)
    now = recording.now()
    standing.check_may_speak(now)
    await _message(tx, room_id, message_id)
    if not await store.remove_reaction(tx, message_id=message_id, user_id=user_id, emoji=emoji):
        return None
    seq = await _record_reaction(tx, recording, room_id, message_id, user_id, emoji, "removed")
    event = ReactionRemoved(
        room_id=room_id,
        message_id=message_id,
        user_id=user_id,
        emoji=emoji,
        seq=seq,
        removed_at=now,
    )
    await recording.outbox.add(tx, event)
    return seq


async def read_history(
    tx: OneRead,
    principal: Principal,
    room_id: UUID,
    *,
    before_seq: int | None,
    limit: int,
    now: datetime,
) -> Page:
    """Of one moment, so that listening on from `position` leaves no hole."""
    page = await store.history(
        tx,
        room_id,
        viewer_id=principal.require_user(),
        is_platform_admin=principal.role >= Role.ADMIN,
        before_seq=before_seq,
        limit=limit,
        replies_max=REPLIES_SHOWN_MAX,
    )
    return _readable(page, now)


async def read_revisions(
    tx: AsyncSession, principal: Principal, room_id: UUID, message_id: UUID, *, now: datetime
) -> list[RevisionRow]:
    """For its author and those who moderate; that it was edited is for all to see."""
    standing = await standing_of(tx, room_id, principal)
    standing.check_member(now)
    message = await _message(tx, room_id, message_id)
    if message.author_id != principal.user_id:
        standing.check_rank(Rank.MODERATOR)
    return await store.revisions(tx, message_id)


async def read_replies(
    tx: OneRead,
    principal: Principal,
    room_id: UUID,
    message_id: UUID,
    *,
    after_seq: int,
    limit: int,
    now: datetime,
) -> Page:
    page = await store.replies(
        tx,
        room_id,
        message_id,
        viewer_id=principal.require_user(),
        is_platform_admin=principal.role >= Role.ADMIN,
        after_seq=after_seq,
        limit=limit,
    )
    return _readable(page, now)


def _readable(found: tuple[Standing, Page] | None, now: datetime) -> Page:
    """A stranger's page was read for nothing, and is not shown."""
    if found is None:
        raise RoomNotFound
    standing, page = found
    standing.check_member(now)
    return page


async def _message(tx: AsyncSession, room_id: UUID, message_id: UUID) -> MessageRow:
    message = await store.message_in_room(tx, room_id, message_id)
    if message is None:
        raise MessageNotFound
    return message


async def _record_reaction(
    tx: AsyncSession,
    recording: Recording,
    room_id: UUID,
    message_id: UUID,
    user_id: UUID,
    emoji: str,
    action: Literal["added", "removed"],
) -> int:
    count, first_at = await store.reactions_counted(tx, message_id, emoji)
    change = Change(
        type="reaction.changed",
        message_id=message_id,
        data={
            "message_id": str(message_id),
            "user_id": str(user_id),
            "emoji": emoji,
            "action": action,
            "count": count,
            "first_at": first_at.isoformat() if first_at else None,
        },
    )
    return (await record_one(tx, recording, room_id, change)).seq
