"""Add what an account's suspension is known by.

Additive, all nullable: the running release goes on inserting without them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "auth"
RULE = "suspension_is_by_somebody"
COLUMNS = ("suspended_at", "suspended_until", "suspended_by", "suspension_reason")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    for name, kind in zip(COLUMNS, (moment, moment, sa.Uuid(), sa.Text()), strict=True):
        op.add_column("account", sa.Column(name, kind), schema=SCHEMA)
    op.create_check_constraint(
        RULE, "account", "(suspended_at IS NULL) = (suspended_by IS NULL)", schema=SCHEMA
    )


def downgrade() -> None:
    # The rule goes with its columns.
    for name in reversed(COLUMNS):
        op.drop_column("account", name, schema=SCHEMA)
