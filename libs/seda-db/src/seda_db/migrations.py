"""One Alembic environment for every service: own schema, own version table, one at a time.

A service's `migrations/env.py` calls `run_env`; its command line and the tests call `upgrade`,
`downgrade` and `check_drift`. The role is the schema's owner, never the application's.
"""

import asyncio
import io
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.autogenerate import compare_metadata, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations.ops import DowngradeOps, UpgradeOps
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from seda_db.database import async_url

LOCK_TIMEOUT = "5s"
DRAFT = """\
\"\"\"{message}.\"\"\"

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {previous}


def upgrade() -> None:
{forward}


def downgrade() -> None:
{back}
"""
STATEMENT_TIMEOUT = "300s"


def run_env(metadata: MetaData) -> None:
    """Run the migrations Alembic was asked for, or print them as SQL when it is offline."""
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True, **_options(metadata))
        with context.begin_transaction():
            context.run_migrations()
        return
    url = context.config.get_main_option("sqlalchemy.url") or ""
    asyncio.run(_run_online(url, metadata))


def upgrade(package: str, owner_url: str, revision: str = "head") -> None:
    command.upgrade(_config(package, owner_url), revision)


def downgrade(package: str, owner_url: str, revision: str) -> None:
    """For development and tests; production never goes back (expand and contract instead)."""
    command.downgrade(_config(package, owner_url), revision)


def check_drift(package: str, owner_url: str, metadata: MetaData) -> list[Any]:
    """What differs between the tables in code and the migrated schema; empty when nothing does."""

    async def compare() -> list[Any]:
        engine = create_async_engine(async_url(owner_url), poolclass=pool.NullPool)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(_differences)
        finally:
            await engine.dispose()

    def _differences(connection: Connection) -> list[Any]:
        options = _options(metadata, partitions=_partitions(connection, metadata.schema))
        migration = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(migration, metadata))

    return asyncio.run(compare())


def draft(package: str, owner_url: str, message: str) -> Path | None:
    """Write the next migration from what differs between the tables in code and the schema.

    None when nothing differs. It is a draft: Alembic sees neither renames nor data, and a
    migration must run beside the release before it.
    """
    drafted: list[UpgradeOps | DowngradeOps] = []

    def keep_operations(_: Any, __: Any, directives: list[Any]) -> None:
        drafted.append(directives[0].upgrade_ops)
        drafted.append(directives[0].downgrade_ops)
        directives.clear()  # Alembic writes no file: its template and names are not ours

    config = _config(package, owner_url)
    command.revision(
        config, message, autogenerate=True, process_revision_directives=keep_operations
    )
    forward, back = drafted
    if forward.is_empty():
        return None
    scripts = ScriptDirectory.from_config(config)
    previous = scripts.get_current_head()
    number = f"{int(previous or 0) + 1:04d}"
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")
    path = Path(scripts.versions) / f"{datetime.now(UTC):%Y%m%d}_{number}_{slug}.py"
    path.write_text(
        DRAFT.format(
            message=message.strip().rstrip("."),
            revision=number,
            previous=repr(previous),
            forward=_body(forward),
            back=_body(back),
        )
    )
    return path


def _body(operations: Any) -> str:
    return textwrap.indent(textwrap.dedent(render_python_code(operations)).strip(), "    ")


def _config(package: str, owner_url: str) -> Config:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("sqlalchemy.url", owner_url.replace("%", "%%"))
    return config


def _options(metadata: MetaData, *, partitions: frozenset[str] = frozenset()) -> dict[str, Any]:
    schema = metadata.schema

    def own_names_only(name: str | None, kind: str, parents: Any) -> bool:
        del parents
        if kind == "schema":
            return name == schema
        # Partitions come and go while the service runs; the table they make up is compared.
        return not (kind == "table" and name in partitions)

    def own_objects_only(obj: Any, name: str | None, kind: str, reflected: bool, _: Any) -> bool:
        # The version table exists only in the database.
        return not (kind == "table" and reflected and (name or "").startswith("alembic_version"))

    return {
        "target_metadata": metadata,
        "version_table_schema": schema,
        "include_schemas": True,
        "include_name": own_names_only,
        "include_object": own_objects_only,
        "compare_type": True,
        "transaction_per_migration": True,
    }


def _partitions(connection: Connection, schema: str | None) -> frozenset[str]:
    query = text(
        "SELECT relname FROM pg_class "
        "WHERE relispartition AND relkind = 'r' AND relnamespace = to_regnamespace(:schema)"
    )
    return frozenset(connection.execute(query, {"schema": schema}).scalars())


async def _run_online(url: str, metadata: MetaData) -> None:
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
            # Two replicas may migrate at once: the second waits here, then finds nothing to do.
            await connection.execute(
                text("SELECT pg_advisory_lock(hashtext(:schema))"),
                {"schema": f"migrate:{metadata.schema}"},
            )
            await connection.commit()
            await connection.run_sync(_migrate, metadata)
            await connection.commit()
    finally:
        await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    options = _options(metadata, partitions=_partitions(connection, metadata.schema))
    connection.commit()
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
