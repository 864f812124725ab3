"""Let people block each other.

Additive: the running release does not look at it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "user_artist"


def upgrade() -> None:
    op.create_table(
        "block",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("blocked_id", sa.Uuid, nullable=False),
        sa.Column("is_blocked", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name="pk_block"),
        sa.CheckConstraint("user_id <> blocked_id", name="ck_block_not_oneself"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_block_listed",
        "block",
        ["user_id", "blocked_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("is_blocked"),
    )


def downgrade() -> None:
    op.drop_table("block", schema=SCHEMA)
