"""Every table of the schema `verification`.

`artist` is what user-artist told us. `claim` is the present, `transition` its past: appended to,
never changed, which a trigger enforces.
"""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from seda_db import table_base
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    # The type checker cannot follow a base class that a function makes.
    class Table(SQLModel): ...

else:
    Table = table_base("verification")


class ArtistRow(Table, table=True):
    """Who owns an artist profile and which pages it lists, as of `version`."""

    __tablename__ = "artist"

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    links: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    version: int = Field(sa_column=Column(Integer, nullable=False))


class ClaimRow(Table, table=True):
    """One code, bound to a person, an artist and a page when it was drawn."""

    __tablename__ = "claim"
    __table_args__ = (
        CheckConstraint(
            "status IN ('issued', 'checking', 'found', 'approved', 'denied', 'expired',"
            " 'cancelled', 'conflict')",
            name="status_known",
        ),
        Index(
            "uq_claim_live_code",
            "code_sha256",
            unique=True,
            postgresql_where=text("status IN ('issued', 'checking', 'found')"),
        ),
        Index(
            "uq_claim_approved_artist",
            "artist_id",
            unique=True,
            postgresql_where=text("status = 'approved'"),
        ),
        Index("ix_claim_user_issued", "user_id", "issued_at"),
        Index("ix_claim_status", "status", "id"),
        Index(
            "ix_claim_perishable",
            "expires_at",
            postgresql_where=text("status IN ('issued', 'checking')"),
        ),
        Index("ix_claim_target", "target_url", postgresql_where=text("status = 'approved'")),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    artist_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("artist.id"), nullable=False))
    user_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    target_url: str = Field(sa_column=Column(Text, nullable=False))
    target_listed: bool = Field(sa_column=Column(Boolean, nullable=False))
    """The page was one of the artist's own links when the code was drawn."""
    code_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    job_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    """The check under way; only its answer counts."""
    issued_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    reason_code: str | None = Field(default=None, sa_column=Column(Text))
    decided_by: UUID | None = Field(default=None, sa_column=Column(Uuid))
    decision_reason: str | None = Field(default=None, sa_column=Column(Text))


class CheckRow(Table, table=True):
    """One look at the page. Evidence is where it ended and a hash, never the body."""

    __tablename__ = "page_check"
    __table_args__ = (Index("ix_page_check_claim_started", "claim_id", "started_at"),)

    job_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    claim_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("claim.id"), nullable=False))
    started_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    conclusive: bool | None = Field(default=None, sa_column=Column(Boolean))
    reason_code: str | None = Field(default=None, sa_column=Column(Text))
    place: str | None = Field(default=None, sa_column=Column(Text))
    final_url: str | None = Field(default=None, sa_column=Column(Text))
    status_code: int | None = Field(default=None, sa_column=Column(Integer))
    content_sha256: str | None = Field(default=None, sa_column=Column(Text))


class TransitionRow(Table, table=True):
    """One change of a claim: who, when, from, to, why, on which evidence."""

    __tablename__ = "transition"
    __table_args__ = (
        CheckConstraint("actor IN ('user', 'admin', 'crawler', 'clock')", name="actor_known"),
        Index("ix_transition_claim", "claim_id", "id"),
    )

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    claim_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("claim.id"), nullable=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    actor: str = Field(sa_column=Column(Text, nullable=False))
    actor_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    from_status: str | None = Field(default=None, sa_column=Column(Text))
    to_status: str = Field(sa_column=Column(Text, nullable=False))
    reason_code: str = Field(sa_column=Column(Text, nullable=False))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    evidence_sha256: str | None = Field(default=None, sa_column=Column(Text))


add_messaging_tables(Table.metadata)
