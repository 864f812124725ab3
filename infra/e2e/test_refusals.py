"""Through the gateway, as anyone may send it: refused with a stable code, and never a 500."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from seda_testkit.client import Api

PASSWORD = "lanterns-over-water-7"
PROBLEM_MEMBERS = {
    "type", "title", "status", "detail", "instance", "code", "request_id", "errors",
    "statusCode", "timestamp", "path", "method", "message",
}  # fmt: skip


@pytest.fixture(scope="module")
async def token(running: Any) -> str:
    async with Api.at(running.gateway_url) as api:
        await api.sign_up(f"refused-{uuid4().hex[:8]}@demo.example", PASSWORD, "Refused")
        answer = await api.sign_up(f"r2-{uuid4().hex[:8]}@demo.example", PASSWORD, "Refused")
        assert answer._tokens is not None
        return answer._tokens.access_token


@pytest.fixture(scope="module")
async def http(running: Any, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=running.gateway_url + "/api/v1", trust_env=False, headers=headers, timeout=30
    ) as client:
        yield client


def is_problem(answer: httpx.Response) -> str:
    """The code of a well-formed problem that tells nothing of the inside."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    body = answer.json()
    assert body.keys() >= PROBLEM_MEMBERS
    assert body["status"] == answer.status_code
    for leak in ("Traceback", "sqlalchemy", "asyncpg", "/src/", "SELECT "):
        assert leak not in answer.text
    return str(body["code"])


ID = "01a1fb54-0000-7000-8000-000000000000"
LONG = "x" * 5_000
REFUSALS: list[tuple[str, str, Any, set[int]]] = [
    # unknown fields
    ("POST", "/auth/signup", {"email": "a@b.example", "password": PASSWORD, "role": "x"}, {400}),
    ("PATCH", "/users/me", {"verified": True}, {400}),
    ("PATCH", "/users/me", {"display_name": "x", "email": "other@b.example"}, {400}),
    ("POST", "/chat/rooms", {"name": "x", "created_by": ID}, {400}),
    ("POST", "/artists", {"artist_name": "x", "verified": True}, {400}),
    # wrong types
    ("POST", "/auth/login", {"email": 7, "password": []}, {400}),
    ("POST", "/chat/rooms", {"name": ["x"]}, {400}),
    ("POST", "/chat/rooms", [], {400}),
    ("POST", "/verification/requests", {"artist_id": "seven", "target_url": "x"}, {400, 422}),
    # too long, too short
    ("POST", "/chat/rooms", {"name": LONG}, {400, 422}),
    ("POST", "/chat/rooms", {"name": ""}, {400, 422}),
    ("PATCH", "/users/me", {"display_name": LONG}, {400, 422}),
    ("POST", "/auth/signup", {"email": "a@b.example", "password": "short"}, {400, 422}),
    ("POST", "/auth/signup", {"email": LONG + "@b.example", "password": PASSWORD}, {400, 422}),
    # wrong id forms
    ("GET", "/chat/rooms/seven", None, {400, 404}),
    ("GET", "/chat/rooms/*", None, {400, 404}),
    ("GET", "/chat/rooms/a.b.>", None, {400, 404}),
    ("GET", "/users/7", None, {400, 404}),
    ("GET", "/tracks/7", None, {400, 404}),
    # what is not there, or not yours
    ("GET", f"/chat/rooms/{ID}", None, {404}),
    ("GET", f"/chat/rooms/{ID}/messages", None, {404}),
    ("POST", f"/chat/rooms/{ID}/messages", {"text": "hi"}, {404}),
    ("PUT", f"/chat/rooms/{ID}/messages/{ID}/reactions/x", None, {400, 404, 422}),
    ("GET", f"/users/{ID}", None, {404}),
    ("GET", f"/artists/{ID}", None, {404}),
    ("PATCH", f"/artists/{ID}", {"bio": "x"}, {403, 404}),
    ("GET", f"/verification/requests/{ID}", None, {404}),
    ("GET", f"/tracks/{ID}", None, {404}),
    ("DELETE", f"/auth/sessions/{ID}", None, {404}),
    # admin routes
    ("GET", "/admin/users", None, {403}),
    ("PUT", f"/admin/users/{ID}/role", {"role": "ADMIN"}, {403}),
    ("GET", "/admin/verification/requests", None, {403}),
    ("GET", "/admin/moderation/actions", None, {403}),
    ("GET", "/admin/crawler/jobs", None, {403}),
    ("POST", "/auth/bootstrap", {"admin_api_key": "guess"}, {401, 403, 409}),
    # outbound requests turned inwards
    ("GET", "/tracks/unfurl?url=http://127.0.0.1/", None, {400, 422}),
    ("GET", "/tracks/unfurl?url=http://2130706433/", None, {400, 422}),
    ("GET", "/tracks/unfurl?url=http://[::ffff:169.254.169.254]/", None, {400, 422}),
    ("GET", "/tracks/unfurl?url=file:///etc/passwd", None, {400, 422}),
    ("GET", "/tracks/unfurl?url=javascript:alert(1)", None, {400, 422}),
    ("GET", "/tracks/unfurl", None, {400}),
    # pages and cursors
    ("GET", "/artists?limit=0", None, {400}),
    ("GET", "/artists?limit=101", None, {400}),
    ("GET", "/artists?cursor=forged", None, {400}),
    # nothing there
    ("GET", "/nothing", None, {404}),
    ("DELETE", "/auth/login", None, {404, 405}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "statuses"), REFUSALS)
async def test_bad_input_is_refused_with_a_stable_code(
    http: httpx.AsyncClient, method: str, path: str, body: Any, statuses: set[int]
) -> None:
    answer = await http.request(method, path, json=body if body is not None else None)
    assert answer.status_code in statuses, answer.text
    assert is_problem(answer)


@pytest.mark.parametrize("path", ["/chat/rooms", "/users/me", "/auth/me", "/verification/requests"])
@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_token"),
        ("Bearer forged", "invalid_token"),
        ("Bearer " + "x" * 9_000, "invalid_token"),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", "invalid_token"),
        ("Basic YTpi", "invalid_token"),
    ],
)
async def test_private_routes_need_a_sound_token(
    running: Any, path: str, authorization: str | None, code: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with httpx.AsyncClient(base_url=running.gateway_url, trust_env=False) as client:
        answer = await client.get("/api/v1" + path, headers=headers)
    assert answer.status_code == 401
    assert is_problem(answer) in {code, "missing_token"}
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 50_000, b'{"name":"\\ud800"}', b""])
async def test_a_body_that_is_no_sound_json_is_a_client_error(
    http: httpx.AsyncClient, content: bytes
) -> None:
    for path in ("/auth/login", "/chat/rooms"):
        answer = await http.post(
            path, content=content, headers={"content-type": "application/json"}
        )
        assert 400 <= answer.status_code < 500, answer.text
        assert is_problem(answer)


async def test_a_body_over_the_limit_is_refused_whichever_service_it_is_for(
    http: httpx.AsyncClient,
) -> None:
    body = b'{"name":"' + b"x" * 1_100_000 + b'"}'
    for path in ("/auth/login", "/chat/rooms"):
        answer = await http.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 413, path
        assert is_problem(answer) == "too_large"


async def test_every_answer_carries_the_security_headers(http: httpx.AsyncClient) -> None:
    for path in ("/chat/rooms", "/artists", "/nothing", "/auth/me", "/health"):
        headers = (await http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert "strict-transport-security" in headers, path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["server"] == "seda", path


async def test_a_service_does_not_answer_who_walks_past_the_gateway(running: Any) -> None:
    chat = running.wiring.url("chat-realtime")
    forged = {"X-User-Id": ID, "X-Seda-Identity": "x", "X-Forwarded-User": "admin"}
    async with httpx.AsyncClient(base_url=chat, trust_env=False) as client:
        for headers in ({}, forged):
            answer = await client.get("/api/v1/chat/rooms", headers=headers)
            assert answer.status_code == 401
            assert is_problem(answer) == "invalid_token"
