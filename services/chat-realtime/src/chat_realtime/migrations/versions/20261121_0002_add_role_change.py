"""Remember whose platform role changed, so that an older token or ticket opens no socket.

Additive: the running release does not look at it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "chat"


def upgrade() -> None:
    op.create_table(
        "role_change",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("perm_version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_role_change"),
        schema=SCHEMA,
    )
    op.create_index("ix_role_change_changed_at", "role_change", ["changed_at"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("role_change", schema=SCHEMA)
