"""The service as a whole: its schema, its roles, its table of problems, its start."""

import asyncio
import os
import subprocess
import sys

import httpx
import msgspec
import pytest
from crawler import domain
from crawler.problems import PROBLEMS
from crawler.settings import Settings
from crawler.tables import Table
from seda_runtime.settings import SettingsError, load
from seda_testkit.databases import ServiceDatabase
from seda_testkit.problems import errors_of
from seda_testkit.schema import assert_migrations_are_sound, assert_role_keeps_to_its_schema

ENVIRONMENT = {"PORT": "0", "DATABASE_URL": "postgresql://x/y", "NATS_URL": "nats://x"}


async def test_migrations_go_up_down_and_up_and_leave_no_drift(migrated: ServiceDatabase) -> None:
    await assert_migrations_are_sound("crawler", migrated, Table.metadata)


async def test_the_service_role_keeps_to_its_own_schema(migrated: ServiceDatabase) -> None:
    await assert_role_keeps_to_its_schema(migrated)


async def test_the_image_says_how_the_outbox_stands_and_replays_it(
    migrated: ServiceDatabase,
) -> None:
    """By the rights of the service's own role, as a Job of an operator runs it."""

    async def run(*words: str, url: str = migrated.app_url) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "crawler", *words, env={**os.environ, "DATABASE_URL": url},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, said.decode()

    status, said = await run("outbox-status")
    assert (status, msgspec.json.decode(said)["waiting"]) == (0, 0)
    status, said = await run("replay-outbox", "--since", "2h", "--type", "crawl.page.fetched.v1")
    assert (status, said[:35]) == (0, "crawler: 0 events wait to be publis")
    status, said = await run("replay-outbox", "--since", "noon")
    assert (status, said) == (
        2,
        "crawler: 'noon' is no time; write 30m, 2h, 3d or 2026-01-31T12:00:00Z\n",
    )
    assert (await run("replay-outbox"))[0] == 2


def test_every_domain_error_has_a_problem() -> None:
    errors = errors_of(domain)
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
