"""Roles reach their own schema and nothing else; clones are separate; rows can be swept out."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.postgres import EmbeddedPostgres
from seda_testkit.provision import new_passwords, provision, psql_script, role_urls
from seda_testkit.schema import assert_migrations_are_sound, assert_role_keeps_to_its_schema
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

ENV = """
from seda_db import table_base
from seda_db.migrations import run_env

run_env(table_base("shelf").metadata)
"""
FIRST_MIGRATION = """
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.execute("CREATE TABLE shelf.box (id int PRIMARY KEY)")
    op.execute("CREATE TABLE shelf.book (id int, box_id int REFERENCES shelf.box (id))")


def downgrade():
    op.execute("DROP TABLE shelf.book, shelf.box")
"""
SCHEMAS = ("left_side", "right_side")


@pytest.fixture(scope="module")
async def passwords(postgres: EmbeddedPostgres) -> dict[str, str]:
    made = new_passwords(SCHEMAS)
    await provision(postgres.admin_url, SCHEMAS, made)
    return made


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_owner_makes_tables_and_the_app_only_changes_rows(
    postgres: EmbeddedPostgres, passwords: dict[str, str]
) -> None:
    left = role_urls(postgres.admin_url, "left_side", passwords)
    await execute(left.owner_url, "CREATE TABLE left_side.thing (id int)")
    await execute(left.app_url, "INSERT INTO thing VALUES (1)", "DELETE FROM thing")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(left.app_url, "DROP TABLE thing")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(left.app_url, "CREATE TABLE left_side.other (id int)")


async def test_no_role_reads_another_schema_or_writes_public(
    postgres: EmbeddedPostgres, passwords: dict[str, str]
) -> None:
    left = role_urls(postgres.admin_url, "left_side", passwords)
    right = role_urls(postgres.admin_url, "right_side", passwords)
    await execute(left.owner_url, "CREATE TABLE left_side.secret (id int)")
    for url in (right.owner_url, right.app_url):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(url, "SELECT * FROM left_side.secret")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(url, "CREATE TABLE public.leak (id int)")


async def test_provisioning_again_changes_nothing_but_the_passwords(
    postgres: EmbeddedPostgres, passwords: dict[str, str]
) -> None:
    await provision(postgres.admin_url, SCHEMAS, passwords)
    left = role_urls(postgres.admin_url, "left_side", passwords)
    connection = await asyncpg.connect(left.app_url)
    try:
        assert await connection.fetchval("SHOW statement_timeout") == "30s"
        assert await connection.fetchval("SHOW search_path") == "left_side"
    finally:
        await connection.close()


def test_the_printed_script_holds_no_password() -> None:
    script = psql_script(["auth"])
    assert "\\getenv auth_app_password AUTH_APP_PASSWORD" in script
    assert "PASSWORD :'auth_app_password'" in script


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with one migration, importable for the length of the test."""
    migrations = tmp_path / "shelf_package" / "migrations"
    (migrations / "versions").mkdir(parents=True)
    (tmp_path / "shelf_package" / "__init__.py").touch()
    (migrations / "env.py").write_text(ENV)
    (migrations / "versions" / "0001_create_box.py").write_text(FIRST_MIGRATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "shelf_package"


async def test_a_clone_is_migrated_separate_and_can_be_emptied(
    database_factory: DatabaseFactory, shelf: str
) -> None:
    first = database_factory.clone(shelf, "shelf")
    second = database_factory.clone(shelf, "shelf")
    _, app_url = first
    await execute(app_url, "INSERT INTO box VALUES (1)", "INSERT INTO book VALUES (1, 1)")
    assert await count(first, "book") == 1
    assert await count(second, "book") == 0
    await first.delete_rows()
    assert await count(first, "book") == 0
    assert await count(first, "alembic_version") == 1
    for database in (first, second):
        database_factory.drop(database)


async def count(database: ServiceDatabase, table: str) -> int:
    connection = await asyncpg.connect(database.app_url)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM shelf.{table}"))
    finally:
        await connection.close()


async def test_asking_twice_in_a_module_gives_one_database(
    service_database: Callable[[str, str], ServiceDatabase], shelf: str
) -> None:
    assert service_database(shelf, "shelf") is service_database(shelf, "shelf")


async def test_migrations_that_differ_from_the_tables_are_not_sound(
    service_database: Callable[[str, str], ServiceDatabase], shelf: str
) -> None:
    database = service_database(shelf, "shelf")
    await assert_migrations_are_sound(shelf, database, tables())
    with pytest.raises(AssertionError):
        await assert_migrations_are_sound(shelf, database, MetaData(schema="shelf"))


def tables() -> MetaData:
    metadata = MetaData(schema="shelf")
    Table("box", metadata, Column("id", Integer, primary_key=True))
    Table(
        "book",
        metadata,
        Column("id", Integer),
        Column("box_id", Integer, ForeignKey("shelf.box.id")),
    )
    return metadata


async def test_a_role_that_may_read_a_neighbour_is_found_out(
    service_database: Callable[[str, str], ServiceDatabase], shelf: str
) -> None:
    database = service_database(shelf, "shelf")
    await assert_role_keeps_to_its_schema(database)
    await execute(
        database.admin_url,
        "GRANT USAGE ON SCHEMA neighbour TO shelf_app",
        "GRANT SELECT ON neighbour.foreign_thing TO shelf_app",
    )
    with pytest.raises(pytest.fail.Exception):
        await assert_role_keeps_to_its_schema(database)
