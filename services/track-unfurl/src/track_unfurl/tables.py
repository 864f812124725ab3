"""Every table of the schema `unfurl`.

`track_ref` is what we know of one catalogue entry, `link` says which entry a pasted link means.
`shared_message`, `share` and `reaction` are what people did with links; a share is kept by its link
because it may be told before the link is resolved.
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
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    # The type checker cannot follow a base class that a function makes.
    class Table(SQLModel): ...

else:
    Table = table_base("unfurl")


def _moment(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=nullable))


class TrackRef(Table, table=True):
    """One catalogue entry. `fields` and `sources` are the last good reading and where it is from.

    `status` is of the last attempt; a failed attempt never empties `fields`. `card_version` rises
    when what a card shows has changed.
    """

    __tablename__ = "track_ref"
    __table_args__ = (
        UniqueConstraint("url", name="uq_track_ref_url"),
        UniqueConstraint("provider", "provider_id", name="uq_track_ref_provider_provider_id"),
        Index("ix_track_ref_provider", "provider"),
        CheckConstraint("char_length(url) <= 2048", name="url_length"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    provider_id: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    url: str = Field(sa_column=Column(Text, nullable=False))
    embed_url: str | None = Field(default=None, sa_column=Column(Text))
    status: str = Field(sa_column=Column(Text, nullable=False))
    fields: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    sources: dict[str, str] = Field(sa_column=Column(JSONB, nullable=False))
    card_version: int = Field(sa_column=Column(Integer, nullable=False))
    failures: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = _moment()
    fetched_at: datetime | None = _moment(nullable=True)
    expires_at: datetime = _moment()
    stale_until: datetime = _moment()
    leased_until: datetime | None = _moment(nullable=True)


class Link(Table, table=True):
    """A link as somebody wrote it. `expires_at` is set for short links, which may be re-pointed."""

    __tablename__ = "link"
    __table_args__ = (Index("ix_link_track_id", "track_id"),)

    link_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    url: str = Field(sa_column=Column(Text, nullable=False))
    track_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("unfurl.track_ref.id"), nullable=False)
    )
    created_at: datetime = _moment()
    expires_at: datetime | None = _moment(nullable=True)


class SharedMessage(Table, table=True):
    """The newest known version of a message that held links; deletion leaves a tombstone."""

    __tablename__ = "shared_message"
    __table_args__ = (Index("ix_shared_message_shared_at", "shared_at"),)

    message_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    shared_at: datetime = _moment()
    edit_version: int = Field(sa_column=Column(Integer, nullable=False))
    is_deleted: bool = Field(sa_column=Column(Boolean, nullable=False))


class Share(Table, table=True):
    """One link in one message; the key makes telling it twice harmless."""

    __tablename__ = "share"
    __table_args__ = (Index("ix_share_link_id", "link_id"),)

    message_id: UUID = Field(
        sa_column=Column(
            Uuid,
            ForeignKey("unfurl.shared_message.message_id", ondelete="CASCADE"),
            primary_key=True,
        )
    )
    link_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))


class Reaction(Table, table=True):
    """Whether a reaction stands, as of `seq`: removed ones stay, so a late addition is known."""

    __tablename__ = "reaction"

    message_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    emoji: str = Field(sa_column=Column(Text, primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    is_present: bool = Field(sa_column=Column(Boolean, nullable=False))


class Chart(Table, table=True):
    """The ranking as last told, so that it is told again only when it differs."""

    __tablename__ = "chart"

    # "window" is a word of SQL.
    span: str = Field(sa_column=Column(Text, primary_key=True))
    track_ids: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    generated_at: datetime = _moment()


add_messaging_tables(Table.metadata)
