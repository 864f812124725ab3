"""Create profile and artist, with the indexes the search stands on.

The trigram index needs the extension `pg_trgm`. Provisioning installs it (as the database's owner,
in a schema of its own); where it is absent this migration installs it if the role may.
"""

import sqlalchemy as sa
from alembic import op
from seda_messaging.migrations import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "user_artist"


def upgrade() -> None:
    _create_profile()
    _create_artist()
    _create_artist_indexes()
    create_messaging_tables(SCHEMA)


def downgrade() -> None:
    drop_messaging_tables(SCHEMA)
    op.drop_table("artist", schema=SCHEMA)
    op.drop_table("profile", schema=SCHEMA)


def _create_profile() -> None:
    op.create_table(
        "profile",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("handle_skeleton", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("bio", sa.Text),
        sa.Column("avatar_url", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_profile"),
        sa.CheckConstraint(
            "char_length(display_name) BETWEEN 1 AND 50", name="display_name_length"
        ),
        sa.CheckConstraint("char_length(handle) BETWEEN 3 AND 30", name="handle_length"),
        sa.CheckConstraint("char_length(bio) <= 500", name="bio_length"),
        schema=SCHEMA,
    )
    op.create_index("uq_profile_handle", "profile", ["handle"], unique=True, schema=SCHEMA)
    op.create_index(
        "uq_profile_handle_skeleton", "profile", ["handle_skeleton"], unique=True, schema=SCHEMA
    )


def _create_artist() -> None:
    op.create_table(
        "artist",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("artist_name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("bio", sa.Text),
        sa.Column("website_url", sa.Text),
        sa.Column("spotify_url", sa.Text),
        sa.Column("soundcloud_url", sa.Text),
        sa.Column("bandcamp_url", sa.Text),
        sa.Column("verified", sa.Boolean, nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_artist"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{SCHEMA}.profile.id"],
            name="fk_artist_user_id_profile",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("char_length(artist_name) BETWEEN 1 AND 50", name="artist_name_length"),
        sa.CheckConstraint("char_length(bio) <= 500", name="bio_length"),
        sa.CheckConstraint("verified = (verified_at IS NOT NULL)", name="verified_has_time"),
        schema=SCHEMA,
    )


def _create_artist_indexes() -> None:
    op.create_index("uq_artist_user_id", "artist", ["user_id"], unique=True, schema=SCHEMA)
    op.create_index("ix_artist_name", "artist", ["name_key", "id"], schema=SCHEMA)
    op.create_index(
        "ix_artist_verified",
        "artist",
        ["name_key", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("verified"),
    )
    op.create_index(
        "ix_artist_name_trigrams",
        "artist",
        ["name_key"],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_ops={"name_key": f"{_trigram_schema()}.gin_trgm_ops"},
    )


def _trigram_schema() -> str:
    """Where the extension lives. `IF NOT EXISTS` asks for no right when it is installed."""
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    found: str = op.get_bind().scalar(
        sa.text(
            "SELECT quote_ident(n.nspname) FROM pg_extension e"
            " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"
        )
    )
    return found
