"""What stands in `d` of every event, state and ephemeral of the socket, and in `ok` of every reply.

Readers skip a type they do not know, and count its `seq`. Fields are only added.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from seda_contracts.realtime import PresenceState, RoomReady, UnreadState

RoomRole = Literal["owner", "moderator", "member"]


class Badge(msgspec.Struct, frozen=True):
    artist_id: UUID
    artist_name: str
    verified: bool


class Author(msgspec.Struct, frozen=True):
    """Whose words they are. Names are absent until the profile is known."""

    user_id: UUID
    handle: str | None = None
    display_name: str | None = None
    avatar_url: str | None = None
    artist: Badge | None = None
    is_bot: bool = False


class Link(msgspec.Struct, frozen=True):
    link_id: UUID
    url: str


class Card(msgspec.Struct, frozen=True):
    """What a link leads to. Of two for one link, the higher version counts."""

    link_id: UUID
    url: str
    card_version: int
    card: dict[str, Any]


class RoomCreated(msgspec.Struct, frozen=True):
    name: str
    owner_id: UUID
    description: str = ""
    is_private: bool = False
    created_at: datetime | None = None


class RoomUpdated(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields that are others now, and no other."""

    name: str | None = None
    description: str | None = None
    archived: bool | None = None
    locked: bool | None = None
    slow_mode_seconds: int | None = None


class MemberJoined(msgspec.Struct, frozen=True):
    """A mute outlives leaving: `muted_until` is that of who comes back."""

    user_id: UUID
    role: RoomRole
    author: Author
    joined_at: datetime | None = None
    muted_until: datetime | None = None


class MemberGone(msgspec.Struct, frozen=True):
    user_id: UUID


class MemberBanned(msgspec.Struct, frozen=True):
    """Without `until` for good."""

    user_id: UUID
    until: datetime | None = None


class MemberRole(msgspec.Struct, frozen=True):
    user_id: UUID
    role: RoomRole


class MessageCreated(msgspec.Struct, frozen=True):
    """`parent_id` is the first message of the thread it answers in. `text` is absent when it was
    deleted since.
    """

    id: UUID
    author_id: UUID
    type: str
    cid: str
    parent_id: UUID | None
    edit_version: int
    created_at: datetime
    author: Author
    mentions: list[UUID] = []
    text: str | None = None
    links: list[Link] = []
    cards: list[Card] = []


class MessageEdited(msgspec.Struct, frozen=True):
    """Text, links, cards and mentions are those of the message from now on."""

    message_id: UUID
    edit_version: int
    edited_at: datetime
    mentions: list[UUID] = []
    text: str | None = None
    links: list[Link] = []
    cards: list[Card] = []


class MessageDeleted(msgspec.Struct, frozen=True):
    """A tombstone stays in its place; reactions, cards, revisions, mentions and pin are gone."""

    message_id: UUID
    deleted_by: UUID
    deleted_at: datetime | None = None


class MessagePinned(msgspec.Struct, frozen=True):
    """The newest pin is shown first."""

    message_id: UUID
    by: UUID
    pinned_at: datetime | None = None


class MessageUnpinned(msgspec.Struct, frozen=True):
    message_id: UUID
    by: UUID


class ReactionChanged(msgspec.Struct, frozen=True):
    """`count` is how many people have reacted so after the change, `first_at` since when: the
    oldest is shown first.
    """

    message_id: UUID
    user_id: UUID
    emoji: str
    action: Literal["added", "removed"]
    count: int
    first_at: datetime | None = None


class CardAttached(msgspec.Struct, frozen=True):
    message_id: UUID
    link_id: UUID
    card_version: int
    url: str | None = None
    card: dict[str, Any] | None = None


class CardUnresolvable(msgspec.Struct, frozen=True):
    message_id: UUID
    link_id: UUID
    reason_code: str


class ModerationNote(msgspec.Struct, frozen=True):
    """A mute, its end, or the end of a ban. The reason is for moderators."""

    kind: str
    user_id: UUID
    until: datetime | None = None


EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "room.created": RoomCreated,
    "room.updated": RoomUpdated,
    "member.joined": MemberJoined,
    "member.left": MemberGone,
    "member.kicked": MemberGone,
    "member.banned": MemberBanned,
    "member.role": MemberRole,
    "message.created": MessageCreated,
    "message.edited": MessageEdited,
    "message.deleted": MessageDeleted,
    "message.pinned": MessagePinned,
    "message.unpinned": MessageUnpinned,
    "reaction.changed": ReactionChanged,
    "card.attached": CardAttached,
    "card.unresolvable": CardUnresolvable,
    "mod.action": ModerationNote,
}
"""Numbered, in the room's log, never left out."""

STATES: Mapping[str, type[msgspec.Struct]] = {
    "author": Author,
    "presence": PresenceState,
    "unread": UnreadState,
}
"""The latest counts; one with a lower `rev` than what a client has is old."""


class TypingHint(msgspec.Struct, frozen=True):
    user_id: UUID


EPHEMERALS: Mapping[str, type[msgspec.Struct]] = {"typing": TypingHint}
"""May be lost, and are worth nothing later."""


class Nothing(msgspec.Struct, frozen=True):
    pass


class SentOk(msgspec.Struct, frozen=True):
    """The message is committed. `dup` says that it had been before, by the same `cid`."""

    msg: UUID
    seq: int
    dup: bool


class ChangedOk(msgspec.Struct, frozen=True):
    """The room's number of the change; null when nothing had to change."""

    seq: int | None


class ModeratedOk(msgspec.Struct, frozen=True):
    action: UUID


class BulkDeletedOk(msgspec.Struct, frozen=True):
    """`more` says that there was more than one command deletes."""

    deleted: list[UUID]
    more: bool


class ReportedOk(msgspec.Struct, frozen=True):
    report: UUID


class RefreshedOk(msgspec.Struct, frozen=True):
    """When the new token ends, in Unix milliseconds."""

    exp: int | None


REPLIES: Mapping[str, type[msgspec.Struct]] = {
    "auth.refresh": RefreshedOk,
    "room.sub": RoomReady,
    "room.unsub": Nothing,
    "msg.send": SentOk,
    "msg.edit": ChangedOk,
    "msg.delete": ChangedOk,
    "msg.report": ReportedOk,
    "react.add": ChangedOk,
    "react.remove": ChangedOk,
    "pin.add": ChangedOk,
    "pin.remove": ChangedOk,
    "mod.mute": ModeratedOk,
    "mod.unmute": ModeratedOk,
    "mod.kick": ModeratedOk,
    "mod.ban": ModeratedOk,
    "mod.unban": ModeratedOk,
    "mod.delete": ModeratedOk,
    "mod.bulk_delete": BulkDeletedOk,
    "mod.slow": ModeratedOk,
    "mod.lock": ModeratedOk,
    "mod.unlock": ModeratedOk,
    "typing": Nothing,
    "presence.set": Nothing,
    "read.mark": ChangedOk,
}
"""`ok` of every command. `hello` is answered by `ready`, `hb` by `hb.ok`."""
