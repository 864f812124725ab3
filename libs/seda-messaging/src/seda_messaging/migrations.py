"""Migration steps for the messaging tables, called by each service's migrations.

Frozen like any migration: a change of the tables is a new function here, never an edit.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from seda_messaging.partitions import (
    CREATE_DEFAULT,
    CREATE_ROLL_OUTBOX,
    GRANT_ROLL_OUTBOX,
    REVOKE_ROLL_OUTBOX,
    ROLL,
)


def create_messaging_tables(schema: str) -> None:
    now = sa.func.now()
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.String(400), nullable=False),
        sa.Column("ordering_key", sa.String(200), nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        schema=schema,
    )
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["id"],
        schema=schema,
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(100), nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name="pk_inbox"),
        schema=schema,
    )


def drop_messaging_tables(schema: str) -> None:
    op.drop_table("inbox", schema=schema)
    op.drop_table("outbox", schema=schema)


def partition_outbox(schema: str) -> None:
    """Cut the outbox into days. The rows there are become the partition of today and all before.

    Nothing is copied: the table is attached, in one pass over it to see that its times fit. The
    release before this one goes on beside it; it looks for rows by their ids alone, so the older
    rows keep their primary key.
    """
    op.execute(_DEMOTE_OUTBOX.format(schema=schema))
    op.execute(CREATE_DEFAULT.format(schema=schema))
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["id"],
        schema=schema,
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_index(
        "ix_outbox_claimed",
        "outbox",
        ["ordering_key"],
        schema=schema,
        postgresql_where=sa.text("published_at IS NULL AND claimed_until IS NOT NULL"),
    )
    for statement in (CREATE_ROLL_OUTBOX, REVOKE_ROLL_OUTBOX, GRANT_ROLL_OUTBOX, ROLL):
        op.execute(statement.format(schema=schema))


def unpartition_outbox(schema: str) -> None:
    """Back to one plain table, with every row."""
    op.execute(_COLLECT_OUTBOX.format(schema=schema))
    op.create_primary_key("pk_outbox", "outbox", ["id"], schema=schema)
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["id"],
        schema=schema,
        postgresql_where=sa.text("published_at IS NULL"),
    )


_DEMOTE_OUTBOX = """
DO $$
DECLARE
  last_day date;
  next_id bigint;
  older text;
BEGIN
  LOCK TABLE {schema}.outbox IN ACCESS EXCLUSIVE MODE;
  SELECT (greatest(now(), max(created_at)) AT TIME ZONE 'UTC')::date INTO last_day
    FROM {schema}.outbox;
  SELECT last_value + 1 INTO next_id FROM {schema}.outbox_id_seq;
  older := 'outbox_' || to_char(last_day, 'YYYYMMDD');
  ALTER TABLE {schema}.outbox ADD COLUMN refused_at timestamptz;
  ALTER TABLE {schema}.outbox ALTER COLUMN id DROP IDENTITY;
  ALTER INDEX {schema}.ix_outbox_unpublished RENAME TO ix_outbox_unpublished_older;
  EXECUTE format('ALTER TABLE {schema}.outbox RENAME TO %I', older);
  EXECUTE format(
    'CREATE TABLE {schema}.outbox (LIKE {schema}.%I INCLUDING DEFAULTS) '
    'PARTITION BY RANGE (created_at)', older);
  EXECUTE format(
    'ALTER TABLE {schema}.outbox ALTER COLUMN id '
    'ADD GENERATED ALWAYS AS IDENTITY (START WITH %s)', next_id);
  EXECUTE format(
    'ALTER TABLE {schema}.outbox ATTACH PARTITION {schema}.%I '
    'FOR VALUES FROM (MINVALUE) TO (%L)',
    older, (last_day + 1)::timestamp AT TIME ZONE 'UTC');
END $$
"""
_COLLECT_OUTBOX = """
DO $$
DECLARE
  next_id bigint;
BEGIN
  LOCK TABLE {schema}.outbox IN ACCESS EXCLUSIVE MODE;
  SELECT last_value + 1 INTO next_id FROM {schema}.outbox_id_seq;
  CREATE TABLE {schema}.outbox_plain (LIKE {schema}.outbox INCLUDING DEFAULTS);
  INSERT INTO {schema}.outbox_plain SELECT * FROM {schema}.outbox;
  DROP TABLE {schema}.outbox;
  DROP FUNCTION {schema}.roll_outbox(timestamptz);
  ALTER TABLE {schema}.outbox_plain DROP COLUMN refused_at;
  ALTER TABLE {schema}.outbox_plain RENAME TO outbox;
  EXECUTE format(
    'ALTER TABLE {schema}.outbox ALTER COLUMN id '
    'ADD GENERATED ALWAYS AS IDENTITY (START WITH %s)', next_id);
END $$
"""
