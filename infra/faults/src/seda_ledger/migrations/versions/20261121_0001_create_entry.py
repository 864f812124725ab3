"""Create entry, with the messaging tables."""

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import (
    create_messaging_tables,
    drop_messaging_tables,
    partition_outbox,
    unpartition_outbox,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "ledger"


def upgrade() -> None:
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entry"),
        schema=SCHEMA,
    )
    create_messaging_tables(SCHEMA)
    partition_outbox(SCHEMA)


def downgrade() -> None:
    unpartition_outbox(SCHEMA)
    drop_messaging_tables(SCHEMA)
    op.drop_table("entry", schema=SCHEMA)
