"""Every table of the schema `auth`. The e-mail address lives here and nowhere else."""

from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from seda_db import table_base
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
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
    Table = table_base("auth")


class AccountRow(Table, table=True):
    """One person. `perm_version` rises with every change of role and every suspension; older tokens
    are refused.
    """

    __tablename__ = "account"
    __table_args__ = (
        Index("uq_account_email", "email", unique=True),
        Index("ix_account_role", "role", "id", postgresql_where=text("role <> 'USER'")),
        CheckConstraint("role IN ('USER', 'ADMIN', 'SUPER_ADMIN')", name="role_known"),
        CheckConstraint("char_length(email) BETWEEN 6 AND 254", name="email_length"),
        CheckConstraint(
            "(suspended_at IS NULL) = (suspended_by IS NULL)", name="suspension_is_by_somebody"
        ),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    email: str = Field(sa_column=Column(Text, nullable=False))
    password_hash: str = Field(sa_column=Column(Text, nullable=False))
    role: str = Field(sa_column=Column(Text, nullable=False))
    perm_version: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    suspended_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    suspended_until: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True))
    )
    """None for a suspension that ends when somebody ends it."""
    suspended_by: UUID | None = Field(default=None, sa_column=Column(Uuid))
    suspension_reason: str | None = Field(default=None, sa_column=Column(Text))


class SessionRow(Table, table=True):
    """One login on one device. `counter` is the number of the newest refresh token."""

    __tablename__ = "session"
    __table_args__ = (
        Index("ix_session_account", "account_id", "id", postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_reason"),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    account_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("account.id", ondelete="CASCADE"), nullable=False)
    )
    sealed_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The key of this session's refresh tokens, sealed; see keys/sealing.py."""
    counter: int = Field(sa_column=Column(Integer, nullable=False))
    turned_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    last_used_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    user_agent: str = Field(sa_column=Column(Text, nullable=False))
    ended_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    end_reason: str | None = Field(default=None, sa_column=Column(Text))


class BotRow(Table, table=True):
    """An account without a password, which belongs to a person. Its id is a user id like any."""

    __tablename__ = "bot"
    __table_args__ = (
        Index("ix_bot_owner", "owner_id", "id"),
        CheckConstraint(
            "(suspended_at IS NULL) = (suspended_by IS NULL)", name="bot_suspension_is_by_somebody"
        ),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    owner_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("account.id", ondelete="CASCADE"), nullable=False)
    )
    name: str = Field(sa_column=Column(Text, nullable=False))
    perm_version: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    deleted_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    suspended_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    """Of the bot alone. One of its owner counts for it as well, and does not stand here."""
    suspended_until: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True))
    )
    suspended_by: UUID | None = Field(default=None, sa_column=Column(Uuid))
    suspension_reason: str | None = Field(default=None, sa_column=Column(Text))


class ApiKeyRow(Table, table=True):
    """A key of a bot. Its secret is 256 random bits, so one round of SHA-256 keeps it."""

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_bot", "bot_id", "id"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    bot_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("bot.id", ondelete="CASCADE"), nullable=False)
    )
    name: str = Field(sa_column=Column(Text, nullable=False))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    last_used_on: date | None = Field(default=None, sa_column=Column(Date))
    """The day and no more: a key's use is nobody's diary."""


add_messaging_tables(Table.metadata)
