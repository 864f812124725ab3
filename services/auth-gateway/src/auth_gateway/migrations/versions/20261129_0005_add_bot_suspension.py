"""Add what the suspension of a single bot is known by, as for accounts.

Additive, all nullable: the running release goes on inserting without them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "auth"
RULE = "bot_suspension_is_by_somebody"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("bot", sa.Column("suspended_at", moment), schema=SCHEMA)
    op.add_column("bot", sa.Column("suspended_until", moment), schema=SCHEMA)
    op.add_column("bot", sa.Column("suspended_by", sa.Uuid), schema=SCHEMA)
    op.add_column("bot", sa.Column("suspension_reason", sa.Text), schema=SCHEMA)
    op.create_check_constraint(
        RULE, "bot", "(suspended_at IS NULL) = (suspended_by IS NULL)", schema=SCHEMA
    )


def downgrade() -> None:
    # The rule goes with its columns.
    for name in ("suspension_reason", "suspended_by", "suspended_until", "suspended_at"):
        op.drop_column("bot", name, schema=SCHEMA)
