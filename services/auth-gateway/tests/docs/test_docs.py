"""The merged description and its page."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
from auth_gateway.docs.merging import merge
from auth_gateway.settings import Settings
from seda_runtime.problems import PROBLEM_JSON

from ..conftest import Running
from ..upstream import Exchange, Upstream


def document(path: str, operation_id: str, schema: str, **schemas: Any) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    content = {"application/json": {"schema": reference}}
    operation = {"operationId": operation_id, "responses": {"200": {"content": content}}}
    return {"paths": {path: {"get": operation}}, "components": {"schemas": schemas}}


OWN = document("/api/v1/auth/me", "GetOne", "One", One={"type": "object"})
CHAT = document(
    "/api/v1/chat/rooms",
    "GetOne",
    "One",
    One={"properties": {"other": {"$ref": "#/components/schemas/Other"}}},
    Other={"type": "string"},
)


def test_merged_operations_have_unique_ids_and_their_service_as_tag() -> None:
    paths = merge(OWN, {"chat-realtime": CHAT})["paths"]
    own, chat = paths["/api/v1/auth/me"]["get"], paths["/api/v1/chat/rooms"]["get"]
    assert (own["operationId"], own["tags"]) == ("GetOne", ["auth-gateway"])
    assert (chat["operationId"], chat["tags"]) == ("ChatRealtimeGetOne", ["chat-realtime"])


def test_a_schema_whose_name_is_taken_is_renamed_with_every_reference_to_it() -> None:
    merged = merge(OWN, {"chat-realtime": CHAT})
    schemas = merged["components"]["schemas"]
    assert schemas["One"] == {"type": "object"}
    assert schemas["ChatRealtime_One"] == CHAT["components"]["schemas"]["One"]
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(merged)))
    assert references == {"One", "ChatRealtime_One", "Other", "Problem"}
    assert references <= set(schemas)


def test_what_the_gateway_does_not_route_is_not_described() -> None:
    hidden = document("/livez", "Live", "One", One={})
    foreign = document("/api/v1/tracks/popular", "Popular", "One", One={})
    merged = merge(OWN, {"crawler": hidden, "chat-realtime": foreign})
    assert set(merged["paths"]) == {"/api/v1/auth/me"}


def test_the_description_is_titled_as_documented() -> None:
    merged = merge(OWN, {})
    assert merged["info"] == {
        "title": "seda.fm API",
        "description": "Music-first social platform API",
        "version": "1.0",
    }
    assert merged["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_operation_describes_its_errors_as_they_are_and_has_a_summary() -> None:
    framework = {"400": {"description": "x", "content": {"application/json": {"schema": {}}}}}
    service = document("/api/v1/chat/rooms", "ListRooms", "One", Problem={"type": "integer"})
    operation = service["paths"]["/api/v1/chat/rooms"]["get"]
    operation["responses"] |= framework
    merged = merge(OWN, {"chat-realtime": service})
    described = merged["paths"]["/api/v1/chat/rooms"]["get"]
    assert set(described["responses"]) == {"200", "4XX", "5XX"}
    assert described["responses"]["4XX"] == {"$ref": "#/components/responses/Problem"}
    assert described["summary"] == "List rooms"
    (media_type,) = merged["components"]["responses"]["Problem"]["content"]
    assert media_type == PROBLEM_JSON
    assert merged["components"]["schemas"]["ChatRealtime_Problem"] == {"type": "integer"}


def test_a_token_is_optional_where_anonymous_callers_are_let_through() -> None:
    tracks = document("/api/v1/tracks/popular", "Popular", "One", One={})
    rooms = document("/api/v1/chat/rooms", "Rooms", "One", One={})
    paths = merge(OWN, {"track-unfurl": tracks, "chat-realtime": rooms})["paths"]
    assert paths["/api/v1/tracks/popular"]["get"]["security"] == [{}, {"bearer": []}]
    assert "security" not in paths["/api/v1/chat/rooms"]["get"]


async def test_the_described_problem_is_the_problem_that_comes(client: httpx.AsyncClient) -> None:
    described = merge(OWN, {})["components"]["schemas"]["Problem"]
    body = (await client.get("/api/v1/auth/me")).json()
    assert body.keys() == described["properties"].keys()
    kinds = {"string": str, "integer": int, "array": list}
    for name, schema in described["properties"].items():
        assert isinstance(body[name], kinds[schema["type"]]), name


async def test_the_description_is_fetched_from_the_services_that_answer(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    body = json.dumps(CHAT).encode()

    async def answer(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
        await exchange.send(head.encode() + body)

    upstream.behaviour = answer
    merged = (await client.get("/api/openapi.json")).json()
    assert {"/api/v1/chat/rooms", "/api/v1/auth/signup", "/api/v1/realtime/connect"} <= set(
        merged["paths"]
    )
    assert {exchange.target for exchange in upstream.seen} == {"/openapi.json"}
    for path, method in (
        ("/api/v1/auth/login", "post"),
        ("/.well-known/jwks.json", "get"),
        ("/api/v1/health", "get"),
    ):
        assert merged["paths"][path][method]["security"] == [{}], path
    assert "security" not in merged["paths"]["/api/v1/auth/me"]["get"]
    ids = [op["operationId"] for item in merged["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))
    asked = len(upstream.seen)
    await client.get("/api/openapi.json")
    assert len(upstream.seen) == asked


async def test_services_that_do_not_answer_leave_the_rest_described(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def babble(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nnot json")

    upstream.behaviour = babble
    merged = await client.get("/api/openapi.json")
    assert merged.status_code == 200
    assert "/api/v1/auth/login" in merged.json()["paths"]


async def test_the_page_loads_nothing_from_another_host(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe-inline'; script" not in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert addresses
    assert all(address.startswith(("/api/", "data:")) for address in addresses)
    assert "<script>" not in page.text
    script = await client.get("/api/docs/rapidoc-min.js")
    assert script.status_code == 200
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert b"RapiDoc" in script.content


async def test_docs_can_be_switched_off(settings: Settings, start: Callable[..., Running]) -> None:
    closed = msgspec.structs.replace(settings, docs_enabled=False)
    async with start(closed) as client:
        for path in ("/api/docs", "/api/openapi.json", "/api/docs/rapidoc-min.js"):
            assert (await client.get(path)).status_code == 404
