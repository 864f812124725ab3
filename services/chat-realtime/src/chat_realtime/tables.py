"""Every table of the schema `chat`.

`room_log` is the truth that clients replay; the other tables are its present. `person` and
`artist` are what user-artist told us; `card` is what track-unfurl told us.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seda_db import table_base
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:

    class Table(SQLModel):
        """The checker cannot subclass what a call returned."""

else:
    Table = table_base("chat")

ROOM_KEY = "chat.room.id"
SEARCH_VECTOR = "to_tsvector('simple', text) || array_to_tsvector(ARRAY[room_id::text])"
"""Words of a message and the room they were said in, so that one index answers for one room."""


def _moment(**options: Any) -> Any:
    return Column(DateTime(timezone=True), **options)


class RoomRow(Table, table=True):
    """One room. `last_seq` numbers every durable change; `acl_epoch` rises when rights shrink."""

    __tablename__ = "room"
    __table_args__ = (
        Index("ix_room_is_private", "is_private"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 80", name="name_length"),
        CheckConstraint("char_length(description) <= 500", name="description_length"),
        CheckConstraint("slow_mode_seconds BETWEEN 0 AND 21600", name="slow_mode_seconds_range"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    description: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    is_private: bool = Field(sa_column=Column(Boolean, nullable=False))
    archived: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    locked: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    """Only moderators speak, for a while."""
    slow_mode_seconds: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )
    created_by: UUID = Field(sa_column=Column(Uuid, nullable=False))
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    last_seq: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default="0")
    )
    epoch: str = Field(default="1", sa_column=Column(Text, nullable=False, server_default="1"))
    """Changes only if the log is rebuilt; a cursor of another epoch is worth nothing."""
    acl_epoch: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default="0")
    )


class MembershipRow(Table, table=True):
    """One person in one room. It outlives leaving, so a mute cannot be shed by coming back."""

    __tablename__ = "membership"
    __table_args__ = (
        Index("ix_membership_room_id", "room_id"),
        Index("ix_membership_user_id", "user_id"),
        CheckConstraint("role IN ('owner', 'moderator', 'member')", name="role_known"),
    )

    room_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(ROOM_KEY), primary_key=True))
    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    role: str = Field(
        default="member", sa_column=Column(Text, nullable=False, server_default="member")
    )
    joined_at: datetime = Field(sa_column=_moment(nullable=False))
    left_at: datetime | None = Field(default=None, sa_column=_moment())
    muted_until: datetime | None = Field(default=None, sa_column=_moment())
    banned_at: datetime | None = Field(default=None, sa_column=_moment())
    banned_until: datetime | None = Field(default=None, sa_column=_moment())
    """Empty while banned means for good."""
    last_sent_at: datetime | None = Field(default=None, sa_column=_moment())
    """Of the last message in slow mode; kept only while the room is slow."""
    read_seq: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default="0")
    )


class MessageRow(Table, table=True):
    """One message. A deleted one stays as a tombstone without text, keeping id and place."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("room_id", "seq", name="uq_message_room_id_seq"),
        UniqueConstraint("author_id", "cid", name="uq_message_author_id_cid"),
        Index("ix_message_room_id_created_at", "room_id", text("created_at DESC")),
        Index("ix_message_author_id", "author_id"),
        Index(
            "ix_message_parent_id",
            "parent_id",
            "seq",
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        Index(
            "ix_message_top_level",
            "room_id",
            "seq",
            postgresql_where=text("parent_id IS NULL"),
        ),
        Index("ix_message_search", text(f"({SEARCH_VECTOR})"), postgresql_using="gin"),
        CheckConstraint("char_length(text) <= 4000", name="text_length"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    room_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    """Written with the room locked, and no room is ever deleted; so no foreign key (0018)."""
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    author_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    type: str = Field(default="TEXT", sa_column=Column(Text, nullable=False, server_default="TEXT"))
    text: str = Field(sa_column=Column(Text, nullable=False))
    cid: str = Field(sa_column=Column(Text, nullable=False))
    """The author's own id of this message; with `body_sha256` it makes retries harmless."""
    body_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    parent_id: UUID | None = Field(
        default=None, sa_column=Column(Uuid, ForeignKey("chat.message.id"))
    )
    edit_version: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    edited_at: datetime | None = Field(default=None, sa_column=_moment())
    deleted_at: datetime | None = Field(default=None, sa_column=_moment())
    deleted_by: UUID | None = Field(default=None, sa_column=Column(Uuid))


class RevisionRow(Table, table=True):
    """What an edited message said before. Gone with the message when that is deleted."""

    __tablename__ = "message_revision"

    message_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("chat.message.id"), primary_key=True)
    )
    edit_version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    replaced_at: datetime = Field(sa_column=_moment(nullable=False))


class PinRow(Table, table=True):
    __tablename__ = "pin"
    __table_args__ = (Index("ix_pin_room_id", "room_id"),)

    message_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("chat.message.id"), primary_key=True)
    )
    room_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(ROOM_KEY), nullable=False))
    pinned_by: UUID = Field(sa_column=Column(Uuid, nullable=False))
    pinned_at: datetime = Field(sa_column=_moment(nullable=False))


class MentionRow(Table, table=True):
    """Somebody is named in a message of a room they are in. `seq` is the message's."""

    __tablename__ = "mention"
    __table_args__ = (Index("ix_mention_message_id", "message_id"),)

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    room_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(ROOM_KEY), primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    message_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("chat.message.id"), nullable=False))


class ReactionRow(Table, table=True):
    __tablename__ = "reaction"
    __table_args__ = (Index("ix_reaction_message_id", "message_id"),)

    message_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("chat.message.id"), primary_key=True)
    )
    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    emoji: str = Field(sa_column=Column(Text, primary_key=True))
    added_at: datetime = Field(sa_column=_moment(nullable=False))


class MessageLinkRow(Table, table=True):
    """A link as it stands in a message, and the version of the card shown for it (0: none)."""

    __tablename__ = "message_link"
    __table_args__ = (Index("ix_message_link_link_id", "link_id", "room_id"),)

    message_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("chat.message.id"), primary_key=True)
    )
    link_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    room_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(ROOM_KEY), nullable=False))
    url: str = Field(sa_column=Column(Text, nullable=False))
    position: int = Field(sa_column=Column(Integer, nullable=False))
    card_version: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )


class CardRow(Table, table=True):
    """The newest card of a link that this service has seen."""

    __tablename__ = "card"

    link_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    card: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    card_version: int = Field(sa_column=Column(Integer, nullable=False))
    updated_at: datetime = Field(sa_column=_moment(nullable=False))


class RoomLogRow(Table, table=True):
    """Everything durable that happened in a room, numbered without a hole."""

    __tablename__ = "room_log"
    __table_args__ = (
        Index(
            "ix_room_log_message_id", "message_id", postgresql_where=text("message_id IS NOT NULL")
        ),
    )

    room_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    """As `MessageRow.room_id`."""
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    type: str = Field(sa_column=Column(Text, nullable=False))
    acl_epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    message_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    author_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    """Whose card a reader is shown with this entry; cards change, so the log does not keep them."""
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    at: datetime = Field(sa_column=_moment(nullable=False))


class ModerationActionRow(Table, table=True):
    """Who did what to whom, and why. Appended to, never changed, which a trigger enforces."""

    __tablename__ = "moderation_action"
    __table_args__ = (Index("ix_moderation_action_room_id", "room_id", "id"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    room_id: UUID | None = Field(default=None, sa_column=Column(Uuid, ForeignKey(ROOM_KEY)))
    """None for what was done to somebody in every room at once."""
    kind: str = Field(sa_column=Column(Text, nullable=False))
    user_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    """None for what was done to the room itself."""
    message_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    moderator_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    seconds: int | None = Field(default=None, sa_column=Column(Integer))
    """Of slow mode."""
    until: datetime | None = Field(default=None, sa_column=_moment())
    taken_at: datetime = Field(sa_column=_moment(nullable=False))


class GlobalMuteRow(Table, table=True):
    """Somebody may not speak anywhere, by word of the platform."""

    __tablename__ = "global_mute"

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    muted_until: datetime = Field(sa_column=_moment(nullable=False))


class InviteRow(Table, table=True):
    """A way into a room, for whoever has the code or for one person. The code is not kept."""

    __tablename__ = "invite"
    __table_args__ = (
        UniqueConstraint("code_sha256", name="uq_invite_code_sha256"),
        Index("ix_invite_room_id", "room_id"),
        Index("ix_invite_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    room_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(ROOM_KEY), nullable=False))
    code_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    user_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    created_by: UUID = Field(sa_column=Column(Uuid, nullable=False))
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    expires_at: datetime = Field(sa_column=_moment(nullable=False))
    uses_left: int = Field(sa_column=Column(Integer, nullable=False))


class ReportRow(Table, table=True):
    """Somebody finds that a message should be looked at. Its words are kept for a while, so that
    taking the message back does not take the evidence along.
    """

    __tablename__ = "report"
    __table_args__ = (
        UniqueConstraint("message_id", "reporter_id", name="uq_report_message_id_reporter_id"),
        Index("ix_report_room_id", "room_id", "state", "id"),
        Index("ix_report_state", "state", "id"),
        CheckConstraint("state IN ('open', 'dismissed', 'acted')", name="state_known"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    room_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(ROOM_KEY), nullable=False))
    message_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("chat.message.id"), nullable=False))
    author_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    reporter_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    category: str = Field(sa_column=Column(Text, nullable=False))
    comment: str = Field(sa_column=Column(Text, nullable=False))
    words: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(
        default="open", sa_column=Column(Text, nullable=False, server_default="open")
    )
    reported_at: datetime = Field(sa_column=_moment(nullable=False))
    resolved_by: UUID | None = Field(default=None, sa_column=Column(Uuid))
    resolved_at: datetime | None = Field(default=None, sa_column=_moment())
    action_id: UUID | None = Field(default=None, sa_column=Column(Uuid))


class BlockRow(Table, table=True):
    """What user-artist told us of who wants to hear nothing of whom. A removed one stays, with the
    version that removed it, so that an older word does not bring it back.
    """

    __tablename__ = "block"
    __table_args__ = (Index("ix_block_blocked_id", "blocked_id"),)

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    blocked_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    is_blocked: bool = Field(sa_column=Column(Boolean, nullable=False))


class BotRow(Table, table=True):
    """An account that auth-gateway told us is no person's."""

    __tablename__ = "bot"

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))


class PersonRow(Table, table=True):
    __tablename__ = "person"
    __table_args__ = (
        Index("ix_person_handle", "handle", postgresql_ops={"handle": "text_pattern_ops"}),
    )

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    handle: str = Field(sa_column=Column(Text, nullable=False))
    display_name: str = Field(sa_column=Column(Text, nullable=False))
    avatar_url: str | None = Field(default=None, sa_column=Column(Text))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))


class ArtistRow(Table, table=True):
    __tablename__ = "artist"
    __table_args__ = (Index("ix_artist_user_id", "user_id"),)

    artist_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    artist_name: str = Field(sa_column=Column(Text, nullable=False))
    verified: bool = Field(sa_column=Column(Boolean, nullable=False))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))


class UsedTicketRow(Table, table=True):
    """Socket tickets that said hello once. A row may go when its ticket has expired anyway."""

    __tablename__ = "used_ticket"
    __table_args__ = (Index("ix_used_ticket_expires_at", "expires_at"),)

    ticket_id: str = Field(sa_column=Column(Text, primary_key=True))
    expires_at: datetime = Field(sa_column=_moment(nullable=False))


class RevokedSessionRow(Table, table=True):
    """Sessions that ended early, kept as long as a token of theirs could still say hello."""

    __tablename__ = "revoked_session"
    __table_args__ = (Index("ix_revoked_session_revoked_at", "revoked_at"),)

    session_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    revoked_at: datetime = Field(sa_column=_moment(nullable=False))


class RoleChangeRow(Table, table=True):
    """People whose platform role changed, kept as long as an older token could still say hello."""

    __tablename__ = "role_change"
    __table_args__ = (Index("ix_role_change_changed_at", "changed_at"),)

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    perm_version: int = Field(sa_column=Column(BigInteger, nullable=False))
    changed_at: datetime = Field(sa_column=_moment(nullable=False))


class SuspensionRow(Table, table=True):
    """People suspended or restored lately, kept as long as an older token could still say hello."""

    __tablename__ = "suspension"
    __table_args__ = (Index("ix_suspension_changed_at", "changed_at"),)

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    perm_version: int = Field(sa_column=Column(BigInteger, nullable=False))
    is_suspended: bool = Field(sa_column=Column(Boolean, nullable=False))
    until: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
    changed_at: datetime = Field(sa_column=_moment(nullable=False))


add_messaging_tables(Table.metadata)
