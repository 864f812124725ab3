"""Create rooms, messages, the room log and what the service remembers of others.

The moderation log gets a trigger that refuses every change, whatever role makes it.
"""

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import create_messaging_tables, drop_messaging_tables
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "chat"
MOMENT = sa.DateTime(timezone=True)
TABLES_IN_ORDER_OF_REMOVAL = (
    "revoked_session",
    "used_ticket",
    "artist",
    "person",
    "moderation_action",
    "room_log",
    "card",
    "message_link",
    "reaction",
    "message",
    "membership",
    "room",
)


def upgrade() -> None:
    _create_room()
    _create_membership()
    _create_message()
    _create_reaction()
    _create_links_and_cards()
    _create_room_log()
    _create_moderation_action()
    _create_projections()
    _create_admission()
    create_messaging_tables(SCHEMA)


def downgrade() -> None:
    drop_messaging_tables(SCHEMA)
    for table in TABLES_IN_ORDER_OF_REMOVAL:
        op.drop_table(table, schema=SCHEMA)
    op.execute("DROP FUNCTION chat.refuse_change()")


def _create_room() -> None:
    op.create_table(
        "room",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, server_default="", nullable=False),
        sa.Column("is_private", sa.Boolean, nullable=False),
        sa.Column("archived", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_seq", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("epoch", sa.Text, server_default="1", nullable=False),
        sa.Column("acl_epoch", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_room"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 80", name="name_length"),
        sa.CheckConstraint("char_length(description) <= 500", name="description_length"),
        schema=SCHEMA,
    )
    op.create_index("ix_room_is_private", "room", ["is_private"], schema=SCHEMA)


def _create_membership() -> None:
    op.create_table(
        "membership",
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, server_default="member", nullable=False),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT),
        sa.Column("muted_until", MOMENT),
        sa.Column("banned_at", MOMENT),
        sa.Column("banned_until", MOMENT),
        sa.Column("read_seq", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("room_id", "user_id", name="pk_membership"),
        _belongs_to("membership", "room"),
        sa.CheckConstraint("role IN ('owner', 'moderator', 'member')", name="role_known"),
        schema=SCHEMA,
    )
    op.create_index("ix_membership_room_id", "membership", ["room_id"], schema=SCHEMA)
    op.create_index("ix_membership_user_id", "membership", ["user_id"], schema=SCHEMA)


def _create_message() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, server_default="TEXT", nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("cid", sa.Text, nullable=False),
        sa.Column("body_sha256", sa.LargeBinary, nullable=False),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("edit_version", sa.Integer, server_default="0", nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("edited_at", MOMENT),
        sa.Column("deleted_at", MOMENT),
        sa.Column("deleted_by", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("room_id", "seq", name="uq_message_room_id_seq"),
        sa.UniqueConstraint("author_id", "cid", name="uq_message_author_id_cid"),
        _belongs_to("message", "room"),
        _belongs_to("message", "message", "parent_id"),
        sa.CheckConstraint("char_length(text) <= 4000", name="text_length"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_message_room_id_created_at",
        "message",
        ["room_id", sa.text("created_at DESC")],
        schema=SCHEMA,
    )
    op.create_index("ix_message_author_id", "message", ["author_id"], schema=SCHEMA)
    op.create_index(
        "ix_message_parent_id",
        "message",
        ["parent_id", "seq"],
        schema=SCHEMA,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_message_top_level",
        "message",
        ["room_id", "seq"],
        schema=SCHEMA,
        postgresql_where=sa.text("parent_id IS NULL"),
    )


def _create_reaction() -> None:
    op.create_table(
        "reaction",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("emoji", sa.Text, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "user_id", "emoji", name="pk_reaction"),
        _belongs_to("reaction", "message"),
        schema=SCHEMA,
    )
    op.create_index("ix_reaction_message_id", "reaction", ["message_id"], schema=SCHEMA)


def _create_links_and_cards() -> None:
    op.create_table(
        "message_link",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("link_id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("card_version", sa.Integer, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("message_id", "link_id", name="pk_message_link"),
        _belongs_to("message_link", "message"),
        _belongs_to("message_link", "room"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_message_link_link_id", "message_link", ["link_id", "room_id"], schema=SCHEMA
    )
    op.create_table(
        "card",
        sa.Column("link_id", sa.Uuid, nullable=False),
        sa.Column("card", JSONB, nullable=False),
        sa.Column("card_version", sa.Integer, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("link_id", name="pk_card"),
        schema=SCHEMA,
    )


def _create_room_log() -> None:
    op.create_table(
        "room_log",
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("acl_epoch", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.Uuid),
        sa.Column("author_id", sa.Uuid),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("room_id", "seq", name="pk_room_log"),
        _belongs_to("room_log", "room"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_room_log_message_id",
        "room_log",
        ["message_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )


def _create_moderation_action() -> None:
    op.create_table(
        "moderation_action",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("message_id", sa.Uuid),
        sa.Column("moderator_id", sa.Uuid, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_moderation_action"),
        _belongs_to("moderation_action", "room"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_moderation_action_room_id", "moderation_action", ["room_id", "id"], schema=SCHEMA
    )
    op.execute(
        """
        CREATE FUNCTION chat.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '42501';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER moderation_action_is_append_only
        BEFORE UPDATE OR DELETE ON chat.moderation_action
        FOR EACH ROW EXECUTE FUNCTION chat.refuse_change()
        """
    )


def _create_projections() -> None:
    op.create_table(
        "person",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("avatar_url", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_person"),
        schema=SCHEMA,
    )
    op.create_table(
        "artist",
        sa.Column("artist_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("artist_name", sa.Text, nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("artist_id", name="pk_artist"),
        schema=SCHEMA,
    )
    op.create_index("ix_artist_user_id", "artist", ["user_id"], schema=SCHEMA)


def _create_admission() -> None:
    op.create_table(
        "used_ticket",
        sa.Column("ticket_id", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_used_ticket"),
        schema=SCHEMA,
    )
    op.create_index("ix_used_ticket_expires_at", "used_ticket", ["expires_at"], schema=SCHEMA)
    op.create_table(
        "revoked_session",
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_revoked_session"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_revoked_session_revoked_at", "revoked_session", ["revoked_at"], schema=SCHEMA
    )


def _belongs_to(table: str, parent: str, column: str | None = None) -> sa.ForeignKeyConstraint:
    column = column or f"{parent}_id"
    return sa.ForeignKeyConstraint([column], [f"{SCHEMA}.{parent}.id"], name=f"fk_{table}_{column}")
