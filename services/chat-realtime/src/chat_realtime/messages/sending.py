"""To send: many messages in one transaction, each judged by itself.

HTTP and the socket make a draft and hand it to the batcher, which calls `send_messages`.
"""

from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import msgspec
from seda_contracts.base import Contract
from seda_contracts.events.chat import MessageSent
from seda_contracts.live import room_subject
from seda_db import DriverTransaction
from seda_identity import Principal, Role
from seda_runtime.ids import uuid7

from chat_realtime.attention.domain import find_mentions
from chat_realtime.attention.operations import tell_attention
from chat_realtime.cards.domain import FoundLink, ShownCard, find_links
from chat_realtime.cards.operations import questions, shared_links
from chat_realtime.log.domain import encode_created, signals_of
from chat_realtime.log.operations import Recording
from chat_realtime.messages import send_store
from chat_realtime.messages.domain import (
    CidConflict,
    MessageNotFound,
    body_digest,
    check_cid,
    check_text,
)
from chat_realtime.messages.send_store import (
    Asked,
    LinkToWrite,
    Looked,
    LookedMember,
    LookedRoom,
    MentionToWrite,
    MessageToWrite,
    Named,
    SenderToPace,
    SentMessage,
    Thread,
    Writing,
)
from chat_realtime.outgoing import offer_written, prepare_each
from chat_realtime.rooms.domain import (
    Banned,
    Muted,
    NotMember,
    RoomLocked,
    RoomNotFound,
    SlowMode,
    Standing,
)

REFUSALS = (
    Banned,
    CidConflict,
    MessageNotFound,
    Muted,
    NotMember,
    RoomLocked,
    RoomNotFound,
    SlowMode,
)
"""What is wrong with one message and no matter to its neighbours."""
_encoder = msgspec.json.Encoder()


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """`dup` says that this very message had been sent before; id and seq are the first one's."""

    message_id: UUID
    room_id: UUID
    seq: int
    created_at: datetime
    dup: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Draft:
    """A message as somebody sends it, sound in itself. Raises InvalidText when it is not."""

    principal: Principal
    room_id: UUID
    cid: str
    text: str
    parent_id: UUID | None = None
    context: Context = field(default_factory=copy_context, repr=False)
    """The sender's, whose trace the events of this message belong to."""
    author_id: UUID = field(init=False)
    key: tuple[UUID, str] = field(init=False)
    """What makes it the same send."""
    body_sha256: str = field(init=False)
    links: list[FoundLink] = field(init=False)
    handles: list[str] = field(init=False)
    """Whom it may name."""

    def __post_init__(self) -> None:
        """Whatever can be found out before the transaction, in which others wait."""
        check_cid(self.cid)
        check_text(self.text)
        self.author_id = self.principal.require_user()
        self.key = (self.author_id, self.cid)
        self.body_sha256 = body_digest(self.room_id, self.parent_id, self.text)
        self.links = find_links(self.text)
        self.handles = find_mentions(self.text)


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """What the room's log says of a new message."""

    id: UUID
    author_id: UUID
    type: str
    text: str
    cid: str
    parent_id: UUID | None
    edit_version: int
    created_at: datetime
    mentions: list[UUID]
    links: list[FoundLink]
    cards: list[ShownCard]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that will be kept, with its place in the room."""

    sent: SentMessage
    draft: Draft
    room: LookedRoom
    parent_id: UUID | None
    mentions: list[UUID]


class Facts:
    """What the drafts are judged by. The rooms are locked, so it stays true until the commit, but
    for what the accepted ones of this very batch add.
    """

    def __init__(self, looked: Looked, drafts: Sequence[Draft], *, now: datetime) -> None:
        self.now = now
        self.rooms: Mapping[UUID, LookedRoom] = looked.rooms or {}
        self.earlier: dict[tuple[UUID, str], SentMessage] = {
            (message.author_id, message.cid): message for message in looked.earlier or ()
        }
        self.threads: Mapping[UUID, Thread] = looked.threads or {}
        self.cards = {card.link_id: card for card in looked.cards or ()}
        self.author_cards = looked.cards_of_authors or {}
        self.named: dict[tuple[UUID, str], Named] = {
            (named.room_id, named.handle): named for named in looked.named or ()
        }
        members = {(member.room_id, member.user_id): member for member in looked.members or ()}
        muted = looked.muted or {}
        self.standings = {
            (room_id, author_id): _standing(
                self.rooms[room_id],
                members.get((room_id, author_id)),
                muted.get(author_id),
                is_platform_admin=role >= Role.ADMIN,
            )
            for (room_id, author_id), role in {
                (draft.room_id, draft.author_id): draft.principal.role for draft in drafts
            }.items()
            if room_id in self.rooms
        }

    def add(self, draft: Draft, sent: SentMessage, standing: Standing) -> None:
        """What was accepted is earlier than what is judged next."""
        self.earlier[draft.key] = sent
        if standing.slow_mode_seconds:
            where = (draft.room_id, draft.author_id)
            self.standings[where] = replace(standing, last_sent_at=self.now)


def locks_sql(drafts: Sequence[Draft]) -> str:
    """What the transaction of `send_messages` begins with: a mute or ban that came before the lock
    is seen, a later one waits.
    """
    link_ids = {link.link_id for draft in drafts for link in draft.links}
    return send_store.locks_sql({draft.room_id for draft in drafts}, link_ids)


async def send_messages(
    tx: DriverTransaction, recording: Recording, drafts: Sequence[Draft]
) -> list[Sent | Exception]:
    """What became of each draft, in their order: an answer or the reason it was refused. Where
    `locks_sql` of these drafts has been run.

    Raises CidConflict when a cid was committed in another room meanwhile: begin again then.
    """
    facts = await _look(tx, drafts, now=recording.now())
    accepted: list[Accepted] = []
    outcomes: list[Sent | Exception] = []
    for draft in drafts:
        try:
            outcomes.append(_judge(draft, facts, accepted))
        except REFUSALS as refusal:
            outcomes.append(refusal)
    if accepted:
        await _keep(tx, recording, facts, accepted)
    return outcomes


async def _look(tx: DriverTransaction, drafts: Sequence[Draft], *, now: datetime) -> Facts:
    link_ids = {link.link_id for draft in drafts for link in draft.links}
    asked = [
        Asked(
            room_id=draft.room_id,
            author_id=draft.author_id,
            cid=draft.cid,
            parent_id=draft.parent_id,
        )
        for draft in drafts
    ]
    handles = {handle for draft in drafts for handle in draft.handles}
    looked = await send_store.look(tx, asked, link_ids=link_ids, handles=handles, now=now)
    return Facts(looked, drafts, now=now)


def _standing(
    room: LookedRoom,
    member: LookedMember | None,
    muted_everywhere_until: datetime | None,
    *,
    is_platform_admin: bool,
) -> Standing:
    if member is None:
        return Standing(
            is_private=room.is_private,
            archived=room.archived,
            role=None,
            is_platform_admin=is_platform_admin,
        )
    mutes = (member.muted_until, muted_everywhere_until)
    return Standing(
        is_private=room.is_private,
        archived=room.archived,
        locked=room.locked,
        slow_mode_seconds=room.slow_mode_seconds,
        role=member.role,
        has_left=member.left_at is not None,
        muted_until=max((mute for mute in mutes if mute is not None), default=None),
        last_sent_at=member.last_sent_at,
        banned=member.banned_at is not None,
        banned_until=member.banned_until,
        is_platform_admin=is_platform_admin,
    )


def _judge(draft: Draft, facts: Facts, accepted: list[Accepted]) -> Sent:
    """What the sender is answered. Raises one of REFUSALS."""
    standing = facts.standings.get((draft.room_id, draft.author_id))
    if standing is None:
        raise RoomNotFound
    standing.check_member(facts.now)
    earlier = facts.earlier.get(draft.key)
    if earlier is not None:
        # A retry gets its answer even when the author was muted since.
        if earlier.body_sha256 != draft.body_sha256:
            raise CidConflict
        return _answer(earlier, dup=True)
    standing.check_may_send(facts.now)
    parent_id = _thread_root(draft, facts)
    room = facts.rooms[draft.room_id]
    room.last_seq += 1
    sent = SentMessage(
        id=uuid7(),
        room_id=draft.room_id,
        seq=room.last_seq,
        created_at=facts.now,
        body_sha256=draft.body_sha256,
    )
    accepted.append(
        Accepted(
            sent=sent,
            draft=draft,
            room=room,
            parent_id=parent_id,
            mentions=_mentions(draft, facts),
        )
    )
    facts.add(draft, sent, standing)
    return _answer(sent, dup=False)


def _thread_root(draft: Draft, facts: Facts) -> UUID | None:
    if draft.parent_id is None:
        return None
    thread = facts.threads.get(draft.parent_id)
    if thread is None or thread.room_id != draft.room_id:
        raise MessageNotFound
    return thread.root_id


def _mentions(draft: Draft, facts: Facts) -> list[UUID]:
    """Members of the room whose handle stands in the text, but for the author and who has blocked
    them.
    """
    named = (facts.named.get((draft.room_id, each)) for each in draft.handles)
    author_id = draft.author_id
    return sorted(
        one.user_id
        for one in named
        if one is not None and one.user_id != author_id and author_id not in one.blocked
    )


async def _keep(
    tx: DriverTransaction, recording: Recording, facts: Facts, accepted: Sequence[Accepted]
) -> None:
    writing = Writing(now=facts.now)
    events: list[tuple[Context, Contract]] = []
    frames: dict[UUID, list[bytes]] = {}
    for message in accepted:
        data = _encoder.encode(_created(message, facts.cards))
        _write(writing, message, data, facts.cards)
        frames.setdefault(message.sent.room_id, []).append(_frame(message, data, facts))
        told = (*questions(message.draft.links, facts.cards), _sent(message))
        events += [(message.draft.context, contract) for contract in told]
    writing.events = prepare_each(recording.outbox, events)
    written = await send_store.write(tx, writing)
    if written.kept != len(accepted):
        raise CidConflict
    offer_written(tx, recording.outbox, writing.events, written.event_row_ids)
    for room_id, lines in frames.items():
        for signal in signals_of(lines):
            recording.signals.stage(tx, room_subject(room_id), signal)
    for mention in writing.mentions:
        tell_attention(tx, recording, mention.user_id, mention.room_id)


def _write(
    writing: Writing, message: Accepted, data: bytes, cards: Mapping[UUID, ShownCard]
) -> None:
    """Every row of one message."""
    sent, draft = message.sent, message.draft
    writing.messages.append(
        MessageToWrite(
            id=sent.id,
            room_id=sent.room_id,
            seq=sent.seq,
            author_id=draft.author_id,
            text=draft.text,
            cid=draft.cid,
            body_sha256=sent.body_sha256,
            parent_id=message.parent_id,
            created_at=sent.created_at,
            acl_epoch=message.room.acl_epoch,
            data=msgspec.Raw(data),
        )
    )
    writing.links += [
        LinkToWrite(
            message_id=sent.id,
            link_id=link.link_id,
            room_id=sent.room_id,
            url=link.url,
            position=position,
            card_version=cards[link.link_id].card_version if link.link_id in cards else 0,
        )
        for position, link in enumerate(message.draft.links)
    ]
    writing.mentions += [
        MentionToWrite(user_id=user_id, room_id=sent.room_id, seq=sent.seq, message_id=sent.id)
        for user_id in message.mentions
    ]
    if message.room.slow_mode_seconds:
        writing.paced.append(SenderToPace(room_id=sent.room_id, user_id=draft.author_id))


def _frame(message: Accepted, data: bytes, facts: Facts) -> bytes:
    """What everybody who listens is told."""
    sent = message.sent
    return encode_created(
        room_id=sent.room_id,
        epoch=message.room.epoch,
        seq=sent.seq,
        acl=message.room.acl_epoch,
        at=sent.created_at,
        data=data,
        author=facts.author_cards[message.draft.author_id],
    )


def _created(message: Accepted, cards: Mapping[UUID, ShownCard]) -> Created:
    sent, draft = message.sent, message.draft
    return Created(
        id=sent.id,
        author_id=draft.author_id,
        type="TEXT",
        text=draft.text,
        cid=draft.cid,
        parent_id=message.parent_id,
        edit_version=0,
        created_at=sent.created_at,
        mentions=message.mentions,
        links=message.draft.links,
        # Two messages may write one link in two ways; each shows its own.
        cards=[
            msgspec.structs.replace(cards[link.link_id], url=link.url)
            for link in message.draft.links
            if link.link_id in cards
        ],
    )


def _sent(message: Accepted) -> MessageSent:
    sent = message.sent
    return MessageSent(
        room_id=sent.room_id,
        message_id=sent.id,
        author_id=message.draft.author_id,
        seq=sent.seq,
        links=shared_links(message.draft.links),
        has_text=True,
        sent_at=sent.created_at,
        in_private_room=message.room.is_private,
    )


def _answer(message: SentMessage, *, dup: bool) -> Sent:
    return Sent(
        message_id=message.id,
        room_id=message.room_id,
        seq=message.seq,
        created_at=message.created_at,
        dup=dup,
    )
