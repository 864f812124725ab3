"""The service as a whole: its schema, its roles, its table of problems, its routes."""

from uuid import uuid4

import httpx
from seda_testkit.databases import ServiceDatabase
from seda_testkit.problems import errors_of
from seda_testkit.schema import assert_migrations_are_sound, assert_role_keeps_to_its_schema
from verification import domain, targets
from verification.problems import PROBLEMS
from verification.tables import Table


async def test_migrations_go_up_down_and_up_and_leave_no_drift(migrated: ServiceDatabase) -> None:
    await assert_migrations_are_sound("verification", migrated, Table.metadata)


async def test_the_service_role_keeps_to_its_own_schema(migrated: ServiceDatabase) -> None:
    await assert_role_keeps_to_its_schema(migrated)


def test_every_domain_error_has_a_problem() -> None:
    errors = {kind for kind in errors_of(domain, targets) if not kind.__subclasses__()}
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
