"""Create the page cache, the hosts and the jobs."""

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "crawler"


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _create_page()
    _create_hosts()
    _create_job()
    create_messaging_tables(SCHEMA)


def downgrade() -> None:
    drop_messaging_tables(SCHEMA)
    for table in ("job", "host_turn", "host_robots", "page"):
        op.drop_table(table, schema=SCHEMA)


def _create_page() -> None:
    op.create_table(
        "page",
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("final_url", sa.Text, nullable=False),
        sa.Column("status_code", sa.Integer, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("content_sha256", sa.Text, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        _moment("fetched_at"),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("url", name="pk_page"),
        schema=SCHEMA,
    )
    op.create_index("ix_page_expires_at", "page", ["expires_at"], schema=SCHEMA)


def _create_hosts() -> None:
    op.create_table(
        "host_robots",
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _moment("fetched_at"),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("origin", name="pk_host_robots"),
        schema=SCHEMA,
    )
    op.create_table(
        "host_turn",
        sa.Column("host", sa.Text, nullable=False),
        _moment("next_request_at"),
        sa.PrimaryKeyConstraint("host", name="pk_host_turn"),
        schema=SCHEMA,
    )


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        _moment("requested_at"),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("final_url", sa.Text),
        sa.Column("dialled_address", sa.Text),
        sa.Column("status_code", sa.Integer),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        sa.Column("content_sha256", sa.Text),
        sa.Column("from_cache", sa.Boolean, nullable=False),
        _moment("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        schema=SCHEMA,
    )
    op.create_index("ix_job_requested_at", "job", ["requested_at"], schema=SCHEMA)
