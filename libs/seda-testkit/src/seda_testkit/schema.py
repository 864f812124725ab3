"""What must hold of every service's schema: sound migrations, a role that cannot stray."""

import asyncio

import asyncpg
import pytest
from seda_db.migrations import check_drift, downgrade, upgrade
from sqlalchemy import MetaData

from seda_testkit.databases import ServiceDatabase

ELSEWHERE = ("neighbour", "public")


async def assert_migrations_are_sound(
    package: str, database: ServiceDatabase, metadata: MetaData
) -> None:
    """They give the tables in code, can all be taken back, and then give the same again.

    Loses every row of `database`.
    """

    def there_and_back() -> None:
        assert check_drift(package, database.owner_url, metadata) == []
        downgrade(package, database.owner_url, "base")
        upgrade(package, database.owner_url)
        assert check_drift(package, database.owner_url, metadata) == []

    # Alembic's environment runs a loop of its own, so it needs a thread of its own.
    await asyncio.to_thread(there_and_back)


async def assert_role_keeps_to_its_schema(database: ServiceDatabase) -> None:
    """The service's role reads and makes nothing in other schemas, and no table of its own falls.

    Leaves a schema and tables behind in `database`, where a service does not look.
    """
    admin = await asyncpg.connect(database.admin_url)
    try:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = $1"
        own_tables = [row["tablename"] for row in await admin.fetch(query, database.schema)]
        for schema in ELSEWHERE:
            await admin.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await admin.execute(f"CREATE TABLE IF NOT EXISTS {schema}.foreign_thing (id int)")
    finally:
        await admin.close()
    assert own_tables, f"{database.schema} holds no table to try"
    refused = [f'DROP TABLE {database.schema}."{table}"' for table in own_tables]
    for schema in ELSEWHERE:
        refused += [f"SELECT * FROM {schema}.foreign_thing", f"CREATE TABLE {schema}.mine (id int)"]
    service = await asyncpg.connect(database.app_url)
    try:
        for statement in refused:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await service.execute(statement)
    finally:
        await service.close()
