"""Every table of the schema `crawler`."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from seda_db import table_base
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import Column, DateTime, Index, Integer, Text, Uuid
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    # The type checker cannot follow a base class that a function makes.
    class Table(SQLModel): ...

else:
    Table = table_base("crawler")


def _moment(*, nullable: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=nullable)


class PageRow(Table, table=True):
    """The last good answer for an address. Pages fetched for a verification are never kept."""

    __tablename__ = "page"
    __table_args__ = (Index("ix_page_expires_at", "expires_at"),)

    url: str = Field(sa_column=Column(Text, primary_key=True))
    final_url: str = Field(sa_column=Column(Text, nullable=False))
    status_code: int = Field(sa_column=Column(Integer, nullable=False))
    media_type: str = Field(sa_column=Column(Text, nullable=False))
    content: str = Field(sa_column=Column(Text, nullable=False))
    content_sha256: str = Field(sa_column=Column(Text, nullable=False))
    etag: str | None = Field(default=None, sa_column=Column(Text))
    last_modified: str | None = Field(default=None, sa_column=Column(Text))
    fetched_at: datetime = Field(sa_column=_moment())
    expires_at: datetime = Field(sa_column=_moment())


class HostRobotsRow(Table, table=True):
    """What an origin answered for /robots.txt."""

    __tablename__ = "host_robots"

    origin: str = Field(sa_column=Column(Text, primary_key=True))
    status: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    fetched_at: datetime = Field(sa_column=_moment())
    expires_at: datetime = Field(sa_column=_moment())


class HostTurnRow(Table, table=True):
    """When a host may next be asked, by any process of this service."""

    __tablename__ = "host_turn"

    host: str = Field(sa_column=Column(Text, primary_key=True))
    next_request_at: datetime = Field(sa_column=_moment())


class JobRow(Table, table=True):
    """The record of one job. `outcome` is empty until it is finished, and final from then on."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_requested_at", "requested_at"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    url: str = Field(sa_column=Column(Text, nullable=False))
    requested_by: str = Field(sa_column=Column(Text, nullable=False))
    requested_at: datetime = Field(sa_column=_moment())
    outcome: str | None = Field(default=None, sa_column=Column(Text))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    final_url: str | None = Field(default=None, sa_column=Column(Text))
    dialled_address: str | None = Field(default=None, sa_column=Column(Text))
    status_code: int | None = Field(default=None, sa_column=Column(Integer))
    body_bytes: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    content_sha256: str | None = Field(default=None, sa_column=Column(Text))
    from_cache: bool = Field(default=False, nullable=False)
    finished_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))


add_messaging_tables(Table.metadata)
