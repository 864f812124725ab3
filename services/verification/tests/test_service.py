"""The service as a whole: its schema, its roles, its table of problems, its routes."""

import asyncio
import importlib
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from seda_db.migrations import check_drift, downgrade, upgrade
from seda_testkit.databases import ServiceDatabase
from verification.problems import PROBLEMS
from verification.tables import Table

RULES = ("verification.domain", "verification.targets")


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Alembic runs a loop of its own, so it needs a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.wrap_future(thread.submit(work, *arguments))


async def test_migrations_go_up_down_and_up_and_leave_no_drift(migrated: ServiceDatabase) -> None:
    await in_thread(downgrade, "verification", migrated.owner_url, "base")
    await in_thread(upgrade, "verification", migrated.owner_url)
    drift = await in_thread(check_drift, "verification", migrated.owner_url, Table.metadata)
    assert drift == []


@pytest.mark.parametrize("schema", ["user_artist", "public"])
async def test_the_service_role_is_refused_on_other_schemas(
    migrated: ServiceDatabase, schema: str
) -> None:
    admin = await asyncpg.connect(migrated.admin_url)
    await admin.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    await admin.execute(f"CREATE TABLE IF NOT EXISTS {schema}.foreign_thing (id int)")
    await admin.close()
    service = await asyncpg.connect(migrated.app_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.fetch(f"SELECT * FROM {schema}.foreign_thing")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(f"CREATE TABLE {schema}.mine (id int)")
    finally:
        await service.close()


async def test_the_service_role_cannot_change_its_own_schema(migrated: ServiceDatabase) -> None:
    service = await asyncpg.connect(migrated.app_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("DROP TABLE verification.transition")
    finally:
        await service.close()


def test_every_domain_error_has_a_problem() -> None:
    errors = {
        found
        for name in RULES
        for _, found in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if issubclass(found, Exception) and found.__module__ == name and not found.__subclasses__()
    }
    assert errors
    assert errors - set(PROBLEMS) == set()


def test_no_two_problems_share_a_code() -> None:
    codes = [problem.code for problem in PROBLEMS.values()]
    assert len(codes) == len(set(codes))


async def test_health_tells_of_database_and_messaging(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "messaging": True}


async def test_a_request_past_the_gateway_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/verification/requests", headers={"X-User-Id": str(uuid4())})
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_token"
