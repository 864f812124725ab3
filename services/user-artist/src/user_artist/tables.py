"""Every table of the schema `user_artist`. What a value may be is checked before it gets here;
the constraints are the second net.
"""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from seda_db import table_base
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    # The type checker cannot follow a base class that a function makes.
    class Table(SQLModel): ...

else:
    Table = table_base("user_artist")


class ProfileRow(Table, table=True):
    """One listener. The id is the account's id; the account itself is the gateway's."""

    __tablename__ = "profile"
    __table_args__ = (
        Index("uq_profile_handle", "handle", unique=True),
        Index("uq_profile_handle_skeleton", "handle_skeleton", unique=True),
        CheckConstraint("char_length(display_name) BETWEEN 1 AND 50", name="display_name_length"),
        CheckConstraint("char_length(handle) BETWEEN 3 AND 30", name="handle_length"),
        CheckConstraint("char_length(bio) <= 500", name="bio_length"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    handle: str = Field(sa_column=Column(Text, nullable=False))
    handle_skeleton: str = Field(sa_column=Column(Text, nullable=False))
    display_name: str = Field(sa_column=Column(Text, nullable=False))
    bio: str | None = Field(default=None, sa_column=Column(Text))
    avatar_url: str | None = Field(default=None, sa_column=Column(Text))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class BlockRow(Table, table=True):
    """Who wants to hear nothing of whom. One that was taken back stays and keeps its version."""

    __tablename__ = "block"
    __table_args__ = (
        CheckConstraint("user_id <> blocked_id", name="not_oneself"),
        Index("ix_block_listed", "user_id", "blocked_id", postgresql_where=text("is_blocked")),
    )

    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    blocked_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    is_blocked: bool = Field(sa_column=Column(Boolean, nullable=False))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ArtistRow(Table, table=True):
    """One artist profile per person. `name_key` is the name as searched and ordered.

    Its collation is "C", so the order and the cursors made from it outlive a change of locale.
    """

    __tablename__ = "artist"
    __table_args__ = (
        Index("uq_artist_user_id", "user_id", unique=True),
        Index("ix_artist_name", "name_key", "id"),
        Index(
            "ix_artist_verified",
            "name_key",
            "id",
            postgresql_where=text("verified"),
        ),
        Index(
            "ix_artist_name_trigrams",
            "name_key",
            postgresql_using="gin",
            postgresql_ops={"name_key": "gin_trgm_ops"},
        ),
        CheckConstraint("char_length(artist_name) BETWEEN 1 AND 50", name="artist_name_length"),
        CheckConstraint("char_length(bio) <= 500", name="bio_length"),
        CheckConstraint("verified = (verified_at IS NOT NULL)", name="verified_has_time"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("profile.id", ondelete="CASCADE"), nullable=False)
    )
    artist_name: str = Field(sa_column=Column(Text, nullable=False))
    name_key: str = Field(sa_column=Column(Text(collation="C"), nullable=False))
    bio: str | None = Field(default=None, sa_column=Column(Text))
    website_url: str | None = Field(default=None, sa_column=Column(Text))
    spotify_url: str | None = Field(default=None, sa_column=Column(Text))
    soundcloud_url: str | None = Field(default=None, sa_column=Column(Text))
    bandcamp_url: str | None = Field(default=None, sa_column=Column(Text))
    verified: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    verified_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


add_messaging_tables(Table.metadata)
