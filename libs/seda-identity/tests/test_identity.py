"""A service believes the gateway's signature on this very request, and nothing else."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency
from seda_identity import (
    IDENTITY_PROBLEMS,
    IdentityVerifier,
    Policy,
    Principal,
    Role,
    enforce_policies,
    require_identity,
)
from seda_identity.policy import PolicyMissing
from seda_runtime.application import build_app
from seda_runtime.settings import ServiceSettings
from seda_testkit.keys import GatewayKeys

SETTINGS = ServiceSettings(env="test", port=0, database_url="-", nats_url="-")
USER = uuid4()
Headers = Callable[..., dict[str, str]]


@get("/mine", operation_id="GetMine", policy=Policy("thing:read"))
async def mine(principal: NamedDependency[Principal]) -> dict[str, str]:
    return {"user_id": str(principal.require_user()), "role": principal.role.name}


@get("/public", operation_id="GetPublic", policy=Policy("thing:list", Role.ANYONE))
async def public(principal: NamedDependency[Principal]) -> dict[str, bool]:
    return {"anonymous": principal.user_id is None}


@get("/admin", operation_id="GetAdmin", policy=Policy("thing:manage", Role.ADMIN))
async def admin() -> dict[str, str]:
    return {}


@get("/forgotten", operation_id="GetForgotten")
async def forgotten() -> None: ...


def application(keys: GatewayKeys, *routes: Any) -> Litestar:
    return build_app(
        SETTINGS,
        name="crawler",
        description="-",
        route_handlers=routes or (mine, public, admin),
        problems=IDENTITY_PROBLEMS,
        on_app_init=[require_identity(IdentityVerifier(keys.gateway_url, audience="crawler"))],
        before_start=[enforce_policies],
    )


@pytest.fixture(scope="module")
def app(keys: GatewayKeys) -> Litestar:
    return application(keys)


async def get_json(app: Litestar, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        answer = await client.get(path, headers=headers)
        return answer.status_code, answer.json()


async def test_the_caller_is_who_the_gateway_says(app: Litestar, identity_headers: Headers) -> None:
    headers = identity_headers("crawler", "GET", "/mine", user_id=USER)
    assert await get_json(app, "/mine", headers) == (200, {"user_id": str(USER), "role": "USER"})


async def test_an_anonymous_caller_sees_only_what_anyone_may(
    app: Litestar, identity_headers: Headers
) -> None:
    status, body = await get_json(app, "/public", identity_headers("crawler", "GET", "/public"))
    assert (status, body) == (200, {"anonymous": True})
    status, body = await get_json(app, "/mine", identity_headers("crawler", "GET", "/mine"))
    assert (status, body["code"]) == (401, "missing_token")


@pytest.mark.parametrize(("role", "status"), [("USER", 403), ("ADMIN", 200), ("SUPER_ADMIN", 200)])
async def test_attack_052_admin_routes_need_an_admin(
    app: Litestar, identity_headers: Headers, role: str, status: int
) -> None:
    headers = identity_headers("crawler", "GET", "/admin", user_id=USER, role=role)
    assert (await get_json(app, "/admin", headers))[0] == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-User-Id": str(USER), "X-Seda-User": str(USER), "Remote-User": "admin"},
        {"X-Seda-Identity": "forged"},
        {"X-Seda-Identity": ""},
    ],
)
async def test_attack_081_a_direct_call_with_forged_headers(
    app: Litestar, headers: dict[str, str]
) -> None:
    for path in ("/mine", "/public", "/admin"):
        status, body = await get_json(app, path, headers)
        assert (status, body["code"]) == (401, "invalid_token")


async def test_attack_081_a_direct_call_with_an_access_token(
    app: Litestar, keys: GatewayKeys
) -> None:
    token = keys.access_token(USER)
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-Seda-Identity": token}):
        assert (await get_json(app, "/mine", headers))[0] == 401


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [("verification", "GET", "/mine"), ("crawler", "POST", "/mine"), ("crawler", "GET", "/other")],
)
async def test_attack_082_an_identity_of_another_request(
    app: Litestar, identity_headers: Headers, service: str, method: str, path: str
) -> None:
    headers = identity_headers(service, method, path, user_id=USER)
    assert (await get_json(app, "/mine", headers))[0] == 401


async def test_operational_routes_are_open(app: Litestar) -> None:
    assert (await get_json(app, "/livez", {}))[0] == 200


def test_a_route_without_a_policy_stops_the_start(keys: GatewayKeys) -> None:
    with pytest.raises(PolicyMissing, match="GET /forgotten"):
        application(keys, mine, forgotten)


def test_roles_include_what_lower_roles_may() -> None:
    assert Role.ANYONE < Role.USER < Role.ADMIN < Role.SUPER_ADMIN
    assert UUID(int=1) == Principal(user_id=UUID(int=1), role=Role.USER).require_user()
