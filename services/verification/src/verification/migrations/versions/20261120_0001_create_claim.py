"""Create claim with its checks and its append-only history."""

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "verification"


def upgrade() -> None:
    op.create_table(
        "artist",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("links", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_artist"),
        schema=SCHEMA,
    )
    _create_claim()
    _create_claim_indexes()
    _create_page_check()
    _create_transition()
    create_messaging_tables(SCHEMA)


def downgrade() -> None:
    drop_messaging_tables(SCHEMA)
    for table in ("transition", "page_check", "claim", "artist"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_change()")


def _create_claim() -> None:
    op.create_table(
        "claim",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("artist_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("target_url", sa.Text, nullable=False),
        sa.Column("target_listed", sa.Boolean, nullable=False),
        sa.Column("code_sha256", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("job_id", sa.Uuid),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_code", sa.Text),
        sa.Column("decided_by", sa.Uuid),
        sa.Column("decision_reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_claim"),
        sa.ForeignKeyConstraint(
            ["artist_id"], [f"{SCHEMA}.artist.id"], name="fk_claim_artist_id_artist"
        ),
        sa.CheckConstraint(
            "status IN ('issued', 'checking', 'found', 'approved', 'denied', 'expired',"
            " 'cancelled', 'conflict')",
            name="status_known",
        ),
        schema=SCHEMA,
    )


def _create_claim_indexes() -> None:
    live = sa.text("status IN ('issued', 'checking', 'found')")
    perishable = sa.text("status IN ('issued', 'checking')")
    approved = sa.text("status = 'approved'")

    def index(name: str, columns: list[str], where: sa.TextClause, *, unique: bool = False) -> None:
        op.create_index(
            name, "claim", columns, schema=SCHEMA, unique=unique, postgresql_where=where
        )

    index("uq_claim_live_code", ["code_sha256"], live, unique=True)
    index("uq_claim_approved_artist", ["artist_id"], approved, unique=True)
    index("ix_claim_perishable", ["expires_at"], perishable)
    index("ix_claim_target", ["target_url"], approved)
    op.create_index("ix_claim_user_issued", "claim", ["user_id", "issued_at"], schema=SCHEMA)
    op.create_index("ix_claim_status", "claim", ["status", "id"], schema=SCHEMA)


def _create_page_check() -> None:
    op.create_table(
        "page_check",
        sa.Column("job_id", sa.Uuid, nullable=False),
        sa.Column("claim_id", sa.Uuid, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("conclusive", sa.Boolean),
        sa.Column("reason_code", sa.Text),
        sa.Column("place", sa.Text),
        sa.Column("final_url", sa.Text),
        sa.Column("status_code", sa.Integer),
        sa.Column("content_sha256", sa.Text),
        sa.PrimaryKeyConstraint("job_id", name="pk_page_check"),
        sa.ForeignKeyConstraint(
            ["claim_id"], [f"{SCHEMA}.claim.id"], name="fk_page_check_claim_id_claim"
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_page_check_claim_started", "page_check", ["claim_id", "started_at"], schema=SCHEMA
    )


def _create_transition() -> None:
    op.create_table(
        "transition",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("claim_id", sa.Uuid, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("from_status", sa.Text),
        sa.Column("to_status", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("evidence_sha256", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_transition"),
        sa.ForeignKeyConstraint(
            ["claim_id"], [f"{SCHEMA}.claim.id"], name="fk_transition_claim_id_claim"
        ),
        sa.CheckConstraint("actor IN ('user', 'admin', 'crawler', 'clock')", name="actor_known"),
        schema=SCHEMA,
    )
    op.create_index("ix_transition_claim", "transition", ["claim_id", "id"], schema=SCHEMA)
    op.execute(
        f"CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'history is only ever added to'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER transition_is_append_only BEFORE UPDATE OR DELETE ON {SCHEMA}.transition"
        f" FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_change()"
    )
