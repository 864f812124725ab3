"""Slow mode, lock, mentions, mutes everywhere, invites, reports, blocks.

Additive with defaults: the running release goes on without them. A moderation action may now be of
no room or of no person, which the running release never writes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "chat"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "room",
        sa.Column("locked", sa.Boolean, server_default=sa.text("false"), nullable=False),
        schema=SCHEMA,
    )
    op.add_column(
        "room",
        sa.Column("slow_mode_seconds", sa.Integer, server_default="0", nullable=False),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        "slow_mode_seconds_range", "room", "slow_mode_seconds BETWEEN 0 AND 21600", schema=SCHEMA
    )
    op.add_column("membership", sa.Column("last_sent_at", MOMENT), schema=SCHEMA)
    for column in ("room_id", "user_id"):
        op.alter_column("moderation_action", column, nullable=True, schema=SCHEMA)
    op.add_column("moderation_action", sa.Column("seconds", sa.Integer), schema=SCHEMA)
    op.create_index(
        "ix_person_handle",
        "person",
        ["handle"],
        schema=SCHEMA,
        postgresql_ops={"handle": "text_pattern_ops"},
    )
    _create_mention()
    _create_global_mute()
    _create_invite()
    _create_report()
    _create_block()


def downgrade() -> None:
    for table in ("block", "report", "invite", "global_mute", "mention"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_index("ix_person_handle", "person", schema=SCHEMA)
    _forget_actions_of_no_room_or_person()
    op.drop_column("moderation_action", "seconds", schema=SCHEMA)
    for column in ("room_id", "user_id"):
        op.alter_column("moderation_action", column, nullable=False, schema=SCHEMA)
    op.drop_column("membership", "last_sent_at", schema=SCHEMA)
    op.drop_column("room", "slow_mode_seconds", schema=SCHEMA)
    op.drop_column("room", "locked", schema=SCHEMA)


def _forget_actions_of_no_room_or_person() -> None:
    """The earlier release cannot keep them; its trigger lets nothing be deleted."""
    op.execute("ALTER TABLE chat.moderation_action DISABLE TRIGGER USER")
    op.execute("DELETE FROM chat.moderation_action WHERE room_id IS NULL OR user_id IS NULL")
    op.execute("ALTER TABLE chat.moderation_action ENABLE TRIGGER USER")


def _create_mention() -> None:
    op.create_table(
        "mention",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "room_id", "seq", name="pk_mention"),
        _belongs_to("mention", "room"),
        _belongs_to("mention", "message"),
        schema=SCHEMA,
    )
    op.create_index("ix_mention_message_id", "mention", ["message_id"], schema=SCHEMA)


def _create_global_mute() -> None:
    op.create_table(
        "global_mute",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("muted_until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_global_mute"),
        schema=SCHEMA,
    )


def _create_invite() -> None:
    op.create_table(
        "invite",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("code_sha256", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("uses_left", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invite"),
        sa.UniqueConstraint("code_sha256", name="uq_invite_code_sha256"),
        _belongs_to("invite", "room"),
        schema=SCHEMA,
    )
    op.create_index("ix_invite_room_id", "invite", ["room_id"], schema=SCHEMA)
    op.create_index(
        "ix_invite_user_id",
        "invite",
        ["user_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )


def _create_report() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("reporter_id", sa.Uuid, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("state", sa.Text, server_default="open", nullable=False),
        sa.Column("reported_at", MOMENT, nullable=False),
        sa.Column("resolved_by", sa.Uuid),
        sa.Column("resolved_at", MOMENT),
        sa.Column("action_id", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        sa.UniqueConstraint("message_id", "reporter_id", name="uq_report_message_id_reporter_id"),
        sa.CheckConstraint("state IN ('open', 'dismissed', 'acted')", name="ck_report_state_known"),
        _belongs_to("report", "room"),
        _belongs_to("report", "message"),
        schema=SCHEMA,
    )
    op.create_index("ix_report_room_id", "report", ["room_id", "state", "id"], schema=SCHEMA)
    op.create_index("ix_report_state", "report", ["state", "id"], schema=SCHEMA)


def _create_block() -> None:
    op.create_table(
        "block",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("blocked_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("is_blocked", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name="pk_block"),
        schema=SCHEMA,
    )
    op.create_index("ix_block_blocked_id", "block", ["blocked_id"], schema=SCHEMA)


def _belongs_to(table: str, parent: str) -> sa.ForeignKeyConstraint:
    column = f"{parent}_id"
    return sa.ForeignKeyConstraint([column], [f"{SCHEMA}.{parent}.id"], name=f"fk_{table}_{column}")
