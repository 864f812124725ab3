"""infra/postgres/init.sql, run by the real psql on a real server: who may touch what."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from seda_testkit.binaries import find_postgres
from seda_testkit.postgres import EmbeddedPostgres
from seda_testkit.provision import psql_script, role_names, role_urls

SCRIPT = Path("infra/postgres/init.sql")


@pytest.fixture(scope="module")
def passwords(services) -> dict[str, str]:
    return {role: f"test-{role}" for service in services for role in role_names(service.schema)}


@pytest.fixture(scope="module")
def initialised(root, passwords) -> Iterator[EmbeddedPostgres]:
    """A server after the script ran on it, as the postgres container runs it.

    Its own: the script gives the roles new passwords, and other tests know the old ones.
    """
    with EmbeddedPostgres() as postgres:
        run_script(root, postgres, passwords)
        yield postgres


def run_script(root: Path, postgres: EmbeddedPostgres, passwords: dict[str, str]) -> None:
    reads = {f"{role.upper()}_PASSWORD": password for role, password in passwords.items()}
    psql = [find_postgres().path("psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(
        [*psql, "--file", str(root / SCRIPT), "--dbname", postgres.admin_url],
        check=True,
        capture_output=True,
        env={**os.environ, **reads},
    )


def test_the_script_is_what_the_test_kit_executes(root, services) -> None:
    """`make generate` writes it anew."""
    expected = psql_script(service.schema for service in services)
    assert (root / SCRIPT).read_text() == expected


async def test_an_application_role_reads_and_writes_only_its_own_schema(
    initialised, services, passwords
) -> None:
    """One query across schemas, and two services can no longer be deployed apart."""
    for service in services:
        urls = role_urls(initialised.admin_url, service.schema, passwords)
        owner = await asyncpg.connect(urls.owner_url)
        await owner.execute(f"CREATE TABLE {service.schema}.probe (id int)")
        await owner.close()
    for service in services:
        urls = role_urls(initialised.admin_url, service.schema, passwords)
        app = await asyncpg.connect(urls.app_url)
        await app.execute("INSERT INTO probe VALUES (1)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TABLE extra (id int)")
        for other in services:
            if other != service:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await app.fetch(f"SELECT * FROM {other.schema}.probe")
        await app.close()


async def test_an_application_role_has_time_limits(initialised, services, passwords) -> None:
    """A query nobody waits for any more must not hold its locks for ever."""
    urls = role_urls(initialised.admin_url, services[0].schema, passwords)
    app = await asyncpg.connect(urls.app_url)
    assert await app.fetchval("SHOW statement_timeout") == "30s"
    assert await app.fetchval("SHOW lock_timeout") == "5s"
    assert await app.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"
    await app.close()


async def test_nobody_may_create_in_the_public_schema(initialised, services, passwords) -> None:
    urls = role_urls(initialised.admin_url, services[0].schema, passwords)
    owner = await asyncpg.connect(urls.owner_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute("CREATE TABLE public.shared (id int)")
    await owner.close()
