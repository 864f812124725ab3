"""Create account and session, and the outbox and inbox beside them."""

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
SCHEMA = "auth"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("perm_version", sa.Integer, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.CheckConstraint("role IN ('USER', 'ADMIN', 'SUPER_ADMIN')", name="role_known"),
        sa.CheckConstraint("char_length(email) BETWEEN 6 AND 254", name="email_length"),
        schema=SCHEMA,
    )
    op.create_index("uq_account_email", "account", ["email"], unique=True, schema=SCHEMA)
    op.create_index(
        "ix_account_role",
        "account",
        ["role", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("role <> 'USER'"),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.Column("turned_at", moment, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("end_reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            [f"{SCHEMA}.account.id"],
            name="fk_session_account_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_reason"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_session_account",
        "session",
        ["account_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    create_messaging_tables(SCHEMA)


def downgrade() -> None:
    drop_messaging_tables(SCHEMA)
    op.drop_table("session", schema=SCHEMA)
    op.drop_table("account", schema=SCHEMA)
