"""Remember who was suspended, so that no socket opens and those that are open close.

Additive: the running release does not look at it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "chat"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "suspension",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("perm_version", sa.BigInteger, nullable=False),
        sa.Column("is_suspended", sa.Boolean, nullable=False),
        sa.Column("until", moment),
        sa.Column("changed_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_suspension"),
        schema=SCHEMA,
    )
    op.create_index("ix_suspension_changed_at", "suspension", ["changed_at"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("suspension", schema=SCHEMA)
