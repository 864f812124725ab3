"""Create tracks, links and what people did with them.

`uq_track_ref_url` is itself the index on the address; only the provider's own index is extra.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import create_messaging_tables, drop_messaging_tables
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "unfurl"


def upgrade() -> None:
    _create_track_ref()
    _create_link()
    _create_sharing()
    create_messaging_tables(SCHEMA)


def downgrade() -> None:
    drop_messaging_tables(SCHEMA)
    for table in ("chart", "reaction", "share", "shared_message", "link", "track_ref"):
        op.drop_table(table, schema=SCHEMA)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_track_ref() -> None:
    op.create_table(
        "track_ref",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("embed_url", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("fields", JSONB, nullable=False),
        sa.Column("sources", JSONB, nullable=False),
        sa.Column("card_version", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        _moment("created_at"),
        _moment("fetched_at", nullable=True),
        _moment("expires_at"),
        _moment("stale_until"),
        _moment("leased_until", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_track_ref"),
        sa.UniqueConstraint("url", name="uq_track_ref_url"),
        sa.UniqueConstraint("provider", "provider_id", name="uq_track_ref_provider_provider_id"),
        sa.CheckConstraint("char_length(url) <= 2048", name="url_length"),
        schema=SCHEMA,
    )
    op.create_index("ix_track_ref_provider", "track_ref", ["provider"], schema=SCHEMA)


def _create_link() -> None:
    op.create_table(
        "link",
        sa.Column("link_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("track_id", sa.Uuid, nullable=False),
        _moment("created_at"),
        _moment("expires_at", nullable=True),
        sa.PrimaryKeyConstraint("link_id", name="pk_link"),
        sa.ForeignKeyConstraint(["track_id"], [f"{SCHEMA}.track_ref.id"], name="fk_link_track_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_link_track_id", "link", ["track_id"], schema=SCHEMA)


def _create_sharing() -> None:
    op.create_table(
        "shared_message",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        _moment("shared_at"),
        sa.Column("edit_version", sa.Integer, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_shared_message"),
        schema=SCHEMA,
    )
    op.create_index("ix_shared_message_shared_at", "shared_message", ["shared_at"], schema=SCHEMA)
    op.create_table(
        "share",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("link_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "link_id", name="pk_share"),
        sa.ForeignKeyConstraint(
            ["message_id"],
            [f"{SCHEMA}.shared_message.message_id"],
            name="fk_share_message_id",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_share_link_id", "share", ["link_id"], schema=SCHEMA)
    op.create_table(
        "reaction",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("emoji", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("is_present", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "user_id", "emoji", name="pk_reaction"),
        schema=SCHEMA,
    )
    op.create_table(
        "chart",
        sa.Column("span", sa.Text, nullable=False),
        sa.Column("track_ids", JSONB, nullable=False),
        _moment("generated_at"),
        sa.PrimaryKeyConstraint("span", name="pk_chart"),
        schema=SCHEMA,
    )
