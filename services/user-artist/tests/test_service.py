"""The service as a whole: its schema, its roles, its table of problems, its routes."""

from uuid import uuid4

import asyncpg
import httpx
import pytest
from seda_testkit.databases import ServiceDatabase
from seda_testkit.problems import errors_of
from seda_testkit.schema import assert_migrations_are_sound, assert_role_keeps_to_its_schema
from user_artist import addresses, names
from user_artist.artists import domain as artists_domain
from user_artist.problems import PROBLEMS
from user_artist.tables import Table
from user_artist.users import domain as users_domain


async def test_migrations_go_up_down_and_up_and_leave_no_drift(migrated: ServiceDatabase) -> None:
    await assert_migrations_are_sound("user_artist", migrated, Table.metadata)


@pytest.mark.parametrize(
    "index",
    [
        "ix_artist_name",
        "ix_artist_name_trigrams",
        "ix_artist_verified",
        "uq_artist_user_id",
        "uq_profile_handle",
        "uq_profile_handle_skeleton",
    ],
)
async def test_every_index_the_design_names_is_there(migrated: ServiceDatabase, index: str) -> None:
    connection = await asyncpg.connect(migrated.app_url)
    try:
        found = await connection.fetchval(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'user_artist' AND indexname = $1",
            index,
        )
    finally:
        await connection.close()
    assert found is not None


async def test_deleting_a_profile_takes_its_artist_along(migrated: ServiceDatabase) -> None:
    user_id, artist_id = uuid4(), uuid4()
    connection = await asyncpg.connect(migrated.app_url)
    try:
        await connection.execute(
            "INSERT INTO profile VALUES ($1, 'gone-soon', 'gone-soon', 'Gone', NULL, NULL, 1,"
            " now(), now())",
            user_id,
        )
        await connection.execute(
            "INSERT INTO artist (id, user_id, artist_name, name_key, verified, version,"
            " created_at, updated_at) VALUES ($1, $2, 'Gone', 'gone', false, 1, now(), now())",
            artist_id,
            user_id,
        )
        await connection.execute("DELETE FROM profile WHERE id = $1", user_id)
        left = await connection.fetchval("SELECT count(*) FROM artist WHERE id = $1", artist_id)
    finally:
        await connection.close()
    assert left == 0


async def test_the_service_role_keeps_to_its_own_schema(migrated: ServiceDatabase) -> None:
    await assert_role_keeps_to_its_schema(migrated)


def test_every_domain_error_has_a_problem() -> None:
    errors = errors_of(names, addresses, users_domain, artists_domain)
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
    answer = await client.get("/api/v1/users/me", headers={"X-User-Id": str(uuid4())})
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_token"
