"""Add bots, and the keys they sign in with.

Additive: the running release does not look at them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "auth"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "bot",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("perm_version", sa.Integer, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("deleted_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_bot"),
        sa.ForeignKeyConstraint(
            ["owner_id"], [f"{SCHEMA}.account.id"], name="fk_bot_owner_id", ondelete="CASCADE"
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_bot_owner", "bot", ["owner_id", "id"], schema=SCHEMA)
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("bot_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("revoked_at", moment),
        sa.Column("last_used_on", sa.Date),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.ForeignKeyConstraint(
            ["bot_id"], [f"{SCHEMA}.bot.id"], name="fk_api_key_bot_id", ondelete="CASCADE"
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_api_key_bot", "api_key", ["bot_id", "id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("api_key", schema=SCHEMA)
    op.drop_table("bot", schema=SCHEMA)
