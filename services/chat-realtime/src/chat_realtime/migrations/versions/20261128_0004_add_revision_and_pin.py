"""Keep what messages said before an edit, and pins.

Additive: the running release neither reads nor writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "chat"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "message_revision",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("edit_version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("replaced_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "edit_version", name="pk_message_revision"),
        _of_message("message_revision"),
        schema=SCHEMA,
    )
    op.create_table(
        "pin",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("room_id", sa.Uuid, nullable=False),
        sa.Column("pinned_by", sa.Uuid, nullable=False),
        sa.Column("pinned_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_pin"),
        _of_message("pin"),
        sa.ForeignKeyConstraint(["room_id"], [f"{SCHEMA}.room.id"], name="fk_pin_room_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_pin_room_id", "pin", ["room_id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("pin", schema=SCHEMA)
    op.drop_table("message_revision", schema=SCHEMA)


def _of_message(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["message_id"], [f"{SCHEMA}.message.id"], name=f"fk_{table}_message_id"
    )
