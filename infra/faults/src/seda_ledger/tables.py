"""Every table of the schema `ledger`."""

from typing import TYPE_CHECKING
from uuid import UUID

from seda_db import table_base
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import BigInteger, Column, Identity, Text, Uuid
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    # The type checker cannot follow a base class that a function makes.
    class Table(SQLModel): ...

else:
    Table = table_base("ledger")


class EntryRow(Table, table=True):
    """One effect of one event. No key over `event_id`: booking it twice must be possible."""

    __tablename__ = "entry"

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    event_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    type: str = Field(sa_column=Column(Text, nullable=False))


add_messaging_tables(Table.metadata)
