"""Refuse to delete a room, and so spare messages and log entries the question whether theirs is
still there. Why it is worth it: decision 0018.

The running release deletes no room, and names no room that it has not locked.
"""

from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "chat"
HOT_TABLES = ("message", "room_log")


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION chat.refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a % is never deleted', TG_TABLE_NAME USING ERRCODE = '42501';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER room_is_kept BEFORE DELETE ON chat.room
        FOR EACH ROW EXECUTE FUNCTION chat.refuse_removal()
        """
    )
    for table in HOT_TABLES:
        op.drop_constraint(f"fk_{table}_room_id", table, schema=SCHEMA, type_="foreignkey")


def downgrade() -> None:
    for table in HOT_TABLES:
        op.create_foreign_key(
            f"fk_{table}_room_id",
            table,
            "room",
            ["room_id"],
            ["id"],
            source_schema=SCHEMA,
            referent_schema=SCHEMA,
        )
    op.execute("DROP TRIGGER room_is_kept ON chat.room")
    op.execute("DROP FUNCTION chat.refuse_removal()")
