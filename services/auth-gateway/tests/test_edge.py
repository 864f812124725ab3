"""What every answer carries, whoever made it; who may read it from a browser; and how often."""

import asyncio
from collections.abc import Callable

import httpx
import msgspec
import pytest
from auth_gateway.settings import Settings
from seda_messaging.provision import provision
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

from .conftest import ADMIN_API_KEY, Running
from .people import sign_up, super_admin
from .upstream import Exchange, Upstream

ORIGIN = "http://localhost:3000"
JWKS = "/.well-known/jwks.json"


def every_answer(upstream: Upstream) -> list[tuple[str, str, int]]:
    async def answer(exchange: Exchange) -> None:
        status = b"500 Oops" if exchange.target.endswith("/500") else b"200 OK"
        await exchange.send(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

    upstream.behaviour = answer
    return [
        ("GET", JWKS, 200),
        ("GET", "/api/v1/health", 200),
        ("GET", "/api/v1/auth/me", 401),
        ("POST", "/api/v1/auth/login", 400),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/v1/auth/me", 405),
        ("GET", "/api/v1/tracks/popular", 200),
        ("GET", "/api/v1/tracks/500", 500),
        ("GET", "/api/v1/tracks;x", 400),
        ("GET", "/api/v1/tracks?token=x", 401),
        ("GET", "/api/docs", 200),
    ]


async def test_attack_075_every_answer_carries_the_headers_browsers_obey(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    for method, path, status in every_answer(upstream):
        answer = await client.request(method, path)
        assert answer.status_code == status, path
        headers = answer.headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["strict-transport-security"].startswith("max-age=63072000")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["permissions-policy"] == ""
        assert "x-request-id" in headers
        assert headers["server"] == "seda"
        assert "x-powered-by" not in headers


async def test_attack_076_nothing_private_is_kept_by_a_cache(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    for method, path, _ in every_answer(upstream):
        answer = await client.request(method, path)
        expected = "public, max-age=300" if path == JWKS else "no-store"
        assert answer.headers["cache-control"] == expected, path


async def test_a_service_decides_how_long_its_public_answers_are_kept(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 OK\r\ncache-control: public, max-age=300\r\nvary: Accept-Language\r\n"
            b"content-length: 0\r\n\r\n"
        )

    upstream.behaviour = answer
    got = await client.get("/api/v1/tracks/popular")
    assert got.headers["cache-control"] == "public, max-age=300"
    assert got.headers["vary"] == "accept-language, origin"


async def test_an_allowed_origin_may_read_answers_and_send_credentials(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    for method, path, _ in every_answer(upstream):
        answer = await client.request(method, path, headers={"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN, path
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://localhost:3000.evil.example",
        "http://evil-localhost:3000",
        "https://localhost:3000",
        "http://localhost:3001",
        "http://localhost",
        "http://LOCALHOST:3000",
        "http://localhostx3000",
        "*",
        "",
    ],
)
async def test_attack_073_no_other_origin_is_allowed(
    client: httpx.AsyncClient, origin: str
) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    plain = await client.get(JWKS, headers={"origin": origin})
    preflight = await client.options("/api/v1/auth/login", headers=asked)
    for answer in (plain, preflight):
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert answer.headers["vary"] == "origin"


async def test_a_preflight_tells_an_allowed_origin_what_it_may_send(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization, content-type",
    }
    answer = await client.options("/api/v1/users/me", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "600"
    assert upstream.connections == 0


async def test_attack_085_the_request_after_the_last_allowed_one_is_refused(
    settings: Settings, start: Callable[..., Running], upstream: Upstream
) -> None:
    few = msgspec.structs.replace(settings, rate_limit_default_requests_max=3)
    async with start(few) as client:
        answers = [await client.get("/api/v1/tracks/popular") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert answers[0].headers["ratelimit"] == '"default";r=2;t=20'
    refused = answers[3]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["ratelimit"].startswith('"default";r=0;')
    assert len(upstream.seen) == 3


async def test_attack_084_many_tokens_and_paths_of_one_person_are_one_bucket(
    settings: Settings, start: Callable[..., Running]
) -> None:
    few = msgspec.structs.replace(settings, rate_limit_default_requests_max=4)
    async with start(few) as client:
        nina = await sign_up(client)
        codes = [(await nina.call("GET", f"/users/{n}?x={n}")).status_code for n in range(3)]
        await nina.refresh()
        codes += [(await nina.call("GET", "/auth/me")).status_code for _ in range(2)]
    assert codes == [200, 200, 200, 200, 429]


async def test_attack_084_a_refused_token_costs_as_much_as_an_accepted_request(
    settings: Settings, start: Callable[..., Running]
) -> None:
    few = msgspec.structs.replace(settings, rate_limit_default_requests_max=3)
    async with start(few) as client:
        forged = {"authorization": "Bearer forged"}
        codes = [
            (await client.get("/api/v1/auth/me", headers=forged)).status_code for _ in range(4)
        ]
    assert codes == [401, 401, 401, 429]


async def test_attack_040_logins_are_counted_by_address_and_apart_from_the_rest(
    settings: Settings, start: Callable[..., Running]
) -> None:
    few = msgspec.structs.replace(settings, rate_limit_max_requests=3)
    async with start(few) as client:
        answers = [
            await client.post(
                "/api/v1/auth/login",
                json={"email": f"person{number}@seda.example", "password": "velvet seven"},
            )
            for number in range(4)
        ]
        other = await client.get("/api/v1/tracks/popular")
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[0].headers["ratelimit-policy"] == '"auth";q=3;w=900'
    assert other.status_code == 200


@pytest.mark.parametrize(("hops", "codes"), [(0, [200, 200, 429]), (1, [200, 200, 200])])
async def test_attack_083_a_forwarded_address_counts_only_behind_a_proxy_of_ours(
    settings: Settings, start: Callable[..., Running], hops: int, codes: list[int]
) -> None:
    few = msgspec.structs.replace(
        settings, rate_limit_default_requests_max=2, trusted_proxy_hops=hops
    )
    async with start(few) as client:
        seen = [
            (
                await client.get(
                    "/api/v1/tracks/popular", headers={"x-forwarded-for": f"198.51.100.{number}"}
                )
            ).status_code
            for number in range(3)
        ]
    assert seen == codes


async def test_health_has_the_documented_shape_under_both_addresses(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/api/v1/health", "/api/health"):
        answer = await client.get(path)
        assert answer.status_code == 200
        body = answer.json()
        assert body["status"] == "healthy"
        assert body["checks"] == {"database": True, "auth": True, "nats": True, "storage": True}
        assert body["uptime"] > 0
        assert "timestamp" in body
    database = await client.get("/health/database")
    assert database.json()["status"] == "healthy"


async def test_admin_routes_close_when_revocations_cannot_be_heard_for_too_long(
    settings: Settings, start: Callable[..., Running], fresh_nats: EmbeddedNats
) -> None:
    await provision(fresh_nats.url, "auth-gateway")
    alone = msgspec.structs.replace(
        settings, nats_url=fresh_nats.url, revocation_staleness_seconds_max=0
    )
    async with start(alone) as client:
        root = await super_admin(client, "nina", ADMIN_API_KEY)
        assert (await root.call("GET", "/admin/users")).status_code == 200
        fresh_nats.kill()

        async def closed() -> bool:
            admin = await root.call("GET", "/admin/users")
            return admin.status_code == 503 and admin.json()["code"] == "unavailable"

        await eventually(closed)
        assert (await root.call("GET", "/auth/me")).status_code == 200
        health = await client.get("/api/v1/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_parallel_requests_are_answered_each_with_its_own_id(
    client: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(client.get("/api/v1/tracks/popular") for _ in range(20)))
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20
