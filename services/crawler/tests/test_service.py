"""The service as a whole: its schema, its roles, its table of problems, its start."""

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest
from crawler import domain
from crawler.problems import PROBLEMS
from crawler.settings import Settings
from crawler.tables import Table
from seda_db.migrations import check_drift, downgrade, upgrade
from seda_runtime.settings import SettingsError, load
from seda_testkit.databases import ServiceDatabase

ENVIRONMENT = {"PORT": "0", "DATABASE_URL": "postgresql://x/y", "NATS_URL": "nats://x"}


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Alembic runs a loop of its own, so it needs a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.wrap_future(thread.submit(work, *arguments))


async def test_migrations_go_up_down_and_up_and_leave_no_drift(migrated: ServiceDatabase) -> None:
    await in_thread(downgrade, "crawler", migrated.owner_url, "base")
    await in_thread(upgrade, "crawler", migrated.owner_url)
    assert await in_thread(check_drift, "crawler", migrated.owner_url, Table.metadata) == []


async def test_the_service_role_cannot_change_its_own_schema(migrated: ServiceDatabase) -> None:
    service = await asyncpg.connect(migrated.app_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("DROP TABLE crawler.page")
    finally:
        await service.close()


def test_every_domain_error_has_a_problem() -> None:
    errors = {
        found
        for _, found in inspect.getmembers(domain, inspect.isclass)
        if issubclass(found, Exception) and found.__module__ == domain.__name__
    }
    assert errors
    assert errors - set(PROBLEMS) == set()


def test_no_two_problems_share_a_code() -> None:
    codes = [problem.code for problem in PROBLEMS.values()]
    assert len(codes) == len(set(codes))


def test_the_documented_variables_reach_the_settings() -> None:
    settings = load(
        Settings,
        ENVIRONMENT
        | {
            "CRAWLER_USER_AGENT": "TestBot/2.0",
            "CRAWLER_TIMEOUT_MS": "5000",
            "CRAWLER_MAX_RETRIES": "1",
            "CRAWLER_HOST_INTERVAL_MS": "10",
            "FETCH_RESOLVER_OVERRIDE": '{"tunes.example": "127.0.0.1:8080"}',
        },
    )
    assert settings.crawler_user_agent == "TestBot/2.0"
    assert (settings.crawler_timeout_ms, settings.crawler_max_retries) == (5000, 1)
    assert settings.crawler_host_interval_ms == 10
    assert settings.fetch_resolver_override == {"tunes.example": "127.0.0.1:8080"}


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load(Settings, ENVIRONMENT)
    assert settings.crawler_user_agent == "SedaBot/1.0 (+https://seda.fm/bot)"
    assert (settings.crawler_timeout_ms, settings.crawler_max_retries) == (30_000, 3)
    assert settings.crawler_host_interval_ms == 1_000


@pytest.mark.parametrize("env", ["qa", "sandbox", "production"])
def test_a_resolver_override_stops_the_start_where_people_are(env: str) -> None:
    override = {"ENV": env, "FETCH_RESOLVER_OVERRIDE": '{"tunes.example": "127.0.0.1:8080"}'}
    with pytest.raises(SettingsError, match="FETCH_RESOLVER_OVERRIDE"):
        load(Settings, ENVIRONMENT | override)
    load(Settings, ENVIRONMENT | {"ENV": env})


async def test_health_tells_of_database_and_messaging(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "messaging": True}


async def test_a_request_past_the_gateway_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/admin/crawler/jobs", headers={"X-User-Role": "ADMIN"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
