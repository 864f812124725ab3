"""The two tables a service needs in its own schema to speak and to listen."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    event,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from seda_messaging.partitions import complete_partitions


def add_messaging_tables(metadata: MetaData) -> None:
    """Declare `outbox` and `inbox` in the metadata's schema; a migration creates them."""
    _add_outbox(metadata)
    Table(
        "inbox",
        metadata,
        Column("consumer", String(100), primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        Column("received_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    )


def outbox_of(schema: str) -> Table:
    """The outbox of a schema, for those who have no service's metadata at hand."""
    return _add_outbox(MetaData(schema=schema))


def _add_outbox(metadata: MetaData) -> Table:
    # No primary key: in a partitioned table it would have to hold created_at too and so say nothing
    # of `id`, which identity keeps unique; and every write would pay for an index nobody reads.
    outbox = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("subject", String(400), nullable=False),
        Column("ordering_key", String(200), nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
        Column("claimed_until", DateTime(timezone=True)),
        Column("published_at", DateTime(timezone=True)),
        Column("attempts", Integer, server_default="0", nullable=False),
        Column("last_error", Text),
        Column("refused_at", DateTime(timezone=True)),
        postgresql_partition_by="RANGE (created_at)",
    )
    is_unpublished = outbox.c.published_at.is_(None)
    # What the relay reads; it holds unpublished rows alone, so it stays small.
    Index("ix_outbox_unpublished", outbox.c.id, postgresql_where=is_unpublished)
    # Keys with a row in some sweeper's hands or waiting for its next attempt. Rows that leave
    # eagerly never enter it.
    Index(
        "ix_outbox_claimed",
        outbox.c.ordering_key,
        postgresql_where=is_unpublished & outbox.c.claimed_until.is_not(None),
    )
    event.listen(outbox, "after_create", _complete)
    return outbox


def _complete(outbox: Table, connection: Connection, **_: Any) -> None:
    complete_partitions(connection, str(outbox.schema))
