"""Facts about rooms, members and messages. Owner: chat-realtime.

Message text never travels here: it lives in PostgreSQL and on the sockets of members.
"""

from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from seda_contracts.base import Event, Timestamp

RoomRole = Literal["owner", "moderator", "member"]
ModerationKind = Literal["mute", "unmute", "kick", "ban", "unban", "delete_message"]


class RoomCreated(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.room.created.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    owner_id: UUID
    is_private: bool
    seq: int
    created_at: Timestamp


class RoomUpdated(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.room.updated.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    changed: list[str]
    seq: int
    updated_at: Timestamp


class MemberJoined(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.member.joined.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    user_id: UUID
    role: RoomRole
    seq: int
    joined_at: Timestamp


class MemberLeft(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.member.left.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    user_id: UUID
    reason: Literal["left", "kicked", "banned"]
    seq: int
    left_at: Timestamp


class SharedLink(msgspec.Struct, frozen=True, kw_only=True):
    link_id: UUID
    url: str


class MessageSent(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.message.sent.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    message_id: UUID
    author_id: UUID
    seq: int
    links: list[SharedLink]
    has_text: bool
    sent_at: Timestamp
    in_private_room: bool = False
    """What is shared there must not show anywhere public."""


class MessageEdited(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.message.edited.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    message_id: UUID
    author_id: UUID
    seq: int
    edit_version: int
    links: list[SharedLink]
    edited_at: Timestamp
    in_private_room: bool = False


class MessageDeleted(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.message.deleted.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    message_id: UUID
    author_id: UUID
    deleted_by: UUID
    seq: int
    deleted_at: Timestamp


class CardAttached(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.card.attached.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    message_id: UUID
    link_id: UUID
    track_id: UUID
    card_version: int
    seq: int


class ReactionAdded(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.reaction.added.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    message_id: UUID
    user_id: UUID
    emoji: str
    seq: int
    added_at: Timestamp


class ReactionRemoved(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "chat.reaction.removed.v1"
    KEY: ClassVar[str] = "room_id"

    room_id: UUID
    message_id: UUID
    user_id: UUID
    emoji: str
    seq: int
    removed_at: Timestamp


class ModerationActionTaken(Event, frozen=True, kw_only=True):
    """Who did what to whom. The reason's words stay in the moderation log."""

    TYPE: ClassVar[str] = "moderation.action.taken.v1"
    KEY: ClassVar[str] = "user_id"

    action_id: UUID
    kind: ModerationKind
    user_id: UUID
    room_id: UUID
    moderator_id: UUID
    until: Timestamp | None = None
    taken_at: Timestamp


class AccountMuted(Event, frozen=True, kw_only=True):
    """The platform took somebody's voice in every room until then, or gave it back."""

    TYPE: ClassVar[str] = "moderation.account.muted.v1"
    KEY: ClassVar[str] = "user_id"

    action_id: UUID
    user_id: UUID
    moderator_id: UUID
    until: Timestamp | None = None
    """None when the voice was given back."""
    taken_at: Timestamp
