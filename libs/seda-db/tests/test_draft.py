"""A drafted migration has the next number, our file name, and brings the schema to the tables."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from seda_db.migrations import draft, upgrade
from seda_testkit.postgres import EmbeddedPostgres

ENV = """
from seda_db.migrations import run_env
from sqlalchemy import Column, Integer, MetaData, String, Table

metadata = MetaData(schema="attic")
Table("box", metadata, Column("id", Integer, primary_key=True), Column("label", String))
run_env(metadata)
"""


@pytest.fixture
def attic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    versions = tmp_path / "attic_package" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "attic_package" / "__init__.py").touch()
    (versions.parent / "env.py").write_text(ENV)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "attic_package", raising=False)  # the test before's
    return "attic_package"


async def test_a_draft_is_written_once_and_can_be_applied(
    postgres: EmbeddedPostgres, attic: str
) -> None:
    connection = await asyncpg.connect(postgres.admin_url)
    await connection.execute("DROP SCHEMA IF EXISTS attic CASCADE; CREATE SCHEMA attic")
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread:  # Alembic's environment runs a loop of its own
        url = postgres.admin_url
        path = await loop.run_in_executor(thread, draft, attic, url, "Create box")
        assert path is not None
        assert path.name.endswith("_0001_create_box.py")
        await loop.run_in_executor(thread, upgrade, attic, url)
        assert await loop.run_in_executor(thread, draft, attic, url, "Nothing") is None
    await connection.execute("INSERT INTO attic.box (label) VALUES ('letters')")
    await connection.close()


async def test_partitions_are_no_difference(postgres: EmbeddedPostgres, attic: str) -> None:
    """They come and go while a service runs; a table beside them that nobody declared is one."""
    connection = await asyncpg.connect(postgres.admin_url)
    await connection.execute(
        "DROP SCHEMA IF EXISTS attic CASCADE; CREATE SCHEMA attic;"
        "CREATE TABLE attic.box (id integer, label varchar) PARTITION BY RANGE (id);"
        "CREATE TABLE attic.box_small PARTITION OF attic.box FOR VALUES FROM (0) TO (9);"
        "CREATE TABLE attic.box_default PARTITION OF attic.box DEFAULT;"
        "ALTER TABLE attic.box ALTER COLUMN id SET NOT NULL"
    )
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread:
        url = postgres.admin_url
        assert await loop.run_in_executor(thread, draft, attic, url, "Nothing") is None
        await connection.execute("CREATE TABLE attic.stranger (id integer)")
        path = await loop.run_in_executor(thread, draft, attic, url, "Drop stranger")
    await connection.close()
    assert path is not None
    assert "stranger" in path.read_text()
    assert "box" not in path.read_text()
