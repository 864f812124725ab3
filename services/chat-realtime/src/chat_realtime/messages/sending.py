"""To send: many messages in one transaction, each judged by itself.

HTTP and the socket make a draft and hand it to the batcher, which calls `send_messages`.
"""

from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec
from seda_contracts.base import Contract
from seda_contracts.events.chat import MessageSent
from seda_identity import Principal
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.cards import store as cards_store
from chat_realtime.cards.domain import FoundLink, ShownCard, find_links, links_and_cards
from chat_realtime.cards.operations import known_cards, questions, shared_links
from chat_realtime.log.domain import Change
from chat_realtime.log.operations import Recording, record_in_rooms
from chat_realtime.messages import store
from chat_realtime.messages.domain import (
    CidConflict,
    MessageNotFound,
    body_digest,
    check_cid,
    check_text,
)
from chat_realtime.messages.store import NewMessage, SentMessage
from chat_realtime.outgoing import add_events
from chat_realtime.rooms import operations as rooms
from chat_realtime.rooms.domain import Banned, Muted, NotMember, RoomLocked, RoomNotFound, Standing

REFUSALS = (Banned, CidConflict, MessageNotFound, Muted, NotMember, RoomLocked, RoomNotFound)
"""What is wrong with one message and no matter to its neighbours."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """`dup` says that this very message had been sent before; id and seq are the first one's."""

    message_id: UUID
    room_id: UUID
    seq: int
    created_at: datetime
    dup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message as somebody sends it, sound in itself. Raises InvalidText when it is not."""

    principal: Principal
    room_id: UUID
    cid: str
    text: str
    parent_id: UUID | None = None
    context: Context = field(default_factory=copy_context, repr=False)
    """The sender's, whose trace the events of this message belong to."""

    def __post_init__(self) -> None:
        check_cid(self.cid)
        check_text(self.text)
        self.principal.require_user()

    @property
    def author_id(self) -> UUID:
        return self.principal.require_user()

    @property
    def key(self) -> tuple[UUID, str]:
        """What makes it the same send."""
        return self.author_id, self.cid


class Accepted(NewMessage, kw_only=True):
    """A draft that will be kept."""

    draft: Draft
    links: list[FoundLink]
    in_private_room: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the drafts are judged by. The rooms are locked, so it stays true until the commit."""

    standings: Mapping[tuple[UUID, UUID], Standing]
    earlier: Mapping[tuple[UUID, str], SentMessage]
    thread_roots: Mapping[UUID, tuple[UUID, UUID]]
    now: datetime


async def send_messages(
    tx: AsyncSession, recording: Recording, drafts: Sequence[Draft]
) -> list[Sent | Exception]:
    """What became of each draft, in their order: an answer or the reason it was refused.

    Raises CidConflict when a cid was committed in another room meanwhile: begin again then.
    """
    facts = await _look(tx, recording, drafts)
    accepted: dict[tuple[UUID, str], Accepted] = {}
    verdicts: list[tuple[SentMessage, bool] | Exception] = []
    for draft in drafts:
        try:
            verdicts.append(_judge(draft, facts, accepted))
        except REFUSALS as refusal:
            verdicts.append(refusal)
    if accepted:
        await _keep(tx, recording, list(accepted.values()))
    return [
        verdict if isinstance(verdict, Exception) else _answer(*verdict) for verdict in verdicts
    ]


async def _look(tx: AsyncSession, recording: Recording, drafts: Sequence[Draft]) -> Facts:
    """Lock the rooms, then look: a mute or ban that came first is seen, a later one waits."""
    standings = await rooms.lock_standings(tx, [(d.room_id, d.principal) for d in drafts])
    parent_ids = {draft.parent_id for draft in drafts if draft.parent_id is not None}
    return Facts(
        standings=standings,
        earlier=await store.sent_before(tx, [draft.key for draft in drafts]),
        thread_roots=await store.thread_roots(tx, parent_ids),
        now=recording.now(),
    )


def _judge(
    draft: Draft, facts: Facts, accepted: dict[tuple[UUID, str], Accepted]
) -> tuple[SentMessage, bool]:
    """The message this draft is, and whether it was sent before. Raises one of REFUSALS."""
    standing = facts.standings.get((draft.room_id, draft.author_id))
    if standing is None:
        raise RoomNotFound
    standing.check_member(facts.now)
    digest = body_digest(draft.room_id, draft.parent_id, draft.text)
    earlier = facts.earlier.get(draft.key) or accepted.get(draft.key)
    if earlier is not None:
        # A retry gets its answer even when the author was muted since.
        if earlier.body_sha256 != digest:
            raise CidConflict
        return earlier, True
    standing.check_may_speak(facts.now)
    message = Accepted(
        id=uuid7(),
        room_id=draft.room_id,
        seq=0,
        author_id=draft.author_id,
        text=draft.text,
        cid=draft.cid,
        body_sha256=digest,
        parent_id=_thread_root(draft, facts),
        created_at=facts.now,
        draft=draft,
        links=find_links(draft.text),
        in_private_room=standing.is_private,
    )
    accepted[draft.key] = message
    return message, False


def _thread_root(draft: Draft, facts: Facts) -> UUID | None:
    if draft.parent_id is None:
        return None
    room_id, root_id = facts.thread_roots.get(draft.parent_id, (None, None))
    if room_id != draft.room_id:
        raise MessageNotFound
    return root_id


async def _keep(tx: AsyncSession, recording: Recording, messages: Sequence[Accepted]) -> None:
    cards = await known_cards(tx, [link for message in messages for link in message.links])
    changes: dict[UUID, list[Change]] = {}
    for message in messages:
        changes.setdefault(message.room_id, []).append(_created(message, cards))
    entries = await record_in_rooms(tx, recording, changes)
    numbers = {
        entry.change.message_id: entry.seq for in_room in entries.values() for entry in in_room
    }
    for message in messages:
        message.seq = numbers[message.id]
    if not await store.add_messages(tx, messages):
        raise CidConflict
    events: list[tuple[Context, Contract]] = []
    for message in messages:
        cards_store.add_links(
            tx, room_id=message.room_id, message_id=message.id, links=message.links, shown=cards
        )
        told = (*questions(message.links, cards), _sent(message))
        events += [(message.draft.context, contract) for contract in told]
    await tx.flush()
    await add_events(tx, recording.outbox, events)


def _created(message: Accepted, cards: Mapping[UUID, ShownCard]) -> Change:
    # Two messages may write one link in two ways; each shows its own.
    shown = {
        link.link_id: msgspec.structs.replace(cards[link.link_id], url=link.url)
        for link in message.links
        if link.link_id in cards
    }
    return Change(
        type="message.created",
        message_id=message.id,
        author_id=message.author_id,
        data={
            "id": str(message.id),
            "author_id": str(message.author_id),
            "type": "TEXT",
            "text": message.text,
            "cid": message.cid,
            "parent_id": str(message.parent_id) if message.parent_id else None,
            "edit_version": 0,
            "created_at": message.created_at.isoformat(),
            **links_and_cards(message.links, shown),
        },
    )


def _sent(message: Accepted) -> MessageSent:
    return MessageSent(
        room_id=message.room_id,
        message_id=message.id,
        author_id=message.author_id,
        seq=message.seq,
        links=shared_links(message.links),
        has_text=True,
        sent_at=message.created_at,
        in_private_room=message.in_private_room,
    )


def _answer(message: SentMessage, dup: bool) -> Sent:
    return Sent(
        message_id=message.id,
        room_id=message.room_id,
        seq=message.seq,
        created_at=message.created_at,
        dup=dup,
    )
