"""Index the words of messages, to search a room by them.

Built beside running writes, which takes no transaction and no limit of time; a build that was cut
off leaves an invalid index, which the next run drops first. So this is all the revision does.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS chat.ix_message_search")
        op.execute(
            """
            CREATE INDEX CONCURRENTLY ix_message_search ON chat.message USING gin (
                (to_tsvector('simple', text) || array_to_tsvector(ARRAY[room_id::text])))
            """
        )
        op.execute("RESET statement_timeout")
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.execute("DROP INDEX chat.ix_message_search")
