"""Remember which authors are bots, so that their cards say so.

Additive: the running release does not look at it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCHEMA = "chat"


def upgrade() -> None:
    op.create_table(
        "bot",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_bot"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("bot", schema=SCHEMA)
