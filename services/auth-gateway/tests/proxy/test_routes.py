"""The proxy against a real server: who gets through, as what, and what comes back."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from auth_gateway.settings import Settings
from litestar import Litestar
from seda_identity.identity import path_hash

from ..conftest import ADMIN_API_KEY, Running
from ..people import sign_up, super_admin
from ..upstream import Exchange, Upstream


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def identity_seen(client: httpx.AsyncClient, exchange: Exchange) -> dict[str, Any]:
    """The passport as a service verifies it: by the published internal keys."""
    token = exchange.header("x-seda-identity")
    assert token is not None
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("seda-internal+jwt", "ES256")
    published = (await client.get("/.well-known/internal-jwks.json")).json()["keys"]
    key = next(key for key in published if key["kid"] == header["kid"])
    options: Any = {"verify_aud": False}
    return jwt.decode(token, jwt.PyJWK(key).key, ["ES256"], options=options)


async def test_a_request_arrives_with_a_passport_for_this_service_method_and_path(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    answer = await nina.call("GET", "/chat/rooms/1/messages?limit=5")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    exchange = upstream.seen[0]
    assert exchange.target == "/api/v1/chat/rooms/1/messages?limit=5"
    claims = await identity_seen(client, exchange)
    assert claims["iss"] == "seda-gateway"
    assert claims["aud"] == "chat-realtime"
    assert (claims["sub"], claims["role"], claims["aal"]) == (nina.user_id, "USER", 1)
    assert "sid" in claims
    assert (claims["m"], claims["p"]) == ("GET", path_hash("/api/v1/chat/rooms/1/messages"))
    assert claims["exp"] - claims["iat"] == 60
    assert exchange.header("x-request-id") == answer.headers["x-request-id"]


async def test_an_anonymous_reader_arrives_with_a_passport_that_names_nobody(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    assert (await client.get("/api/v1/tracks/popular")).status_code == 200
    claims = await identity_seen(client, upstream.seen[0])
    assert claims["aud"] == "track-unfurl"
    assert not {"sub", "sid", "role", "aal"} & set(claims)


async def test_attack_082_every_request_has_a_passport_of_its_own(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    await nina.call("GET", "/users/me")
    await nina.call("PATCH", "/users/me", json={})
    first, second = [await identity_seen(client, exchange) for exchange in upstream.seen]
    assert (first["p"], second["p"]) == (path_hash("/api/v1/users/me"),) * 2
    assert (first["m"], second["m"]) == ("GET", "PATCH")


async def test_an_encoded_emoji_is_hashed_decoded_and_passed_on_encoded(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    await nina.call("PUT", "/chat/rooms/1/messages/2/reactions/%F0%9F%8E%B5")
    exchange = upstream.seen[0]
    assert exchange.target == "/api/v1/chat/rooms/1/messages/2/reactions/%F0%9F%8E%B5"
    claims = await identity_seen(client, exchange)
    assert claims["p"] == path_hash("/api/v1/chat/rooms/1/messages/2/reactions/🎵")


async def test_a_slash_at_the_end_is_the_same_path(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    await nina.call("GET", "/users/me/")
    assert upstream.seen[0].target == "/api/v1/users/me"
    assert (await identity_seen(client, upstream.seen[0]))["p"] == path_hash("/api/v1/users/me")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/artists"),
        ("PATCH", "/users/me"),
        ("GET", "/chat/rooms"),
        ("GET", "/verification/requests"),
        ("GET", "/admin/crawler/jobs"),
        ("DELETE", "/tracks/1"),
    ],
)
async def test_routes_for_people_refuse_nobody_before_the_service_hears_of_it(
    client: httpx.AsyncClient, upstream: Upstream, method: str, path: str
) -> None:
    answer = await client.request(method, f"/api/v1{path}")
    assert code(answer) == (401, "missing_token")
    assert upstream.connections == 0


async def test_a_forged_token_is_refused_even_where_nobody_needs_one(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    headers = {"authorization": "Bearer forged"}
    answer = await client.get("/api/v1/tracks/popular", headers=headers)
    assert code(answer) == (401, "invalid_token")
    assert upstream.connections == 0


async def test_an_admin_reaches_what_admins_may(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    assert (await root.call("GET", "/admin/crawler/jobs")).status_code == 200
    assert (await identity_seen(client, upstream.seen[0]))["role"] == "SUPER_ADMIN"


async def test_attack_080_no_header_of_the_client_reaches_a_service_as_identity(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    forged = {
        "X-Seda-Identity": "forged",
        "X-Seda-Role": "SUPER_ADMIN",
        "X_Seda_Identity": "forged",
        "X-User-Id": "1",
        "Remote-User": "root",
        "Forwarded": "for=127.0.0.1",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "X-HTTP-Method-Override": "DELETE",
        "Cookie": "a=b",
        "Connection": "x-seda-identity, x-request-id",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQ",
    }
    await nina.call("GET", "/users/me", headers=forged)
    exchange = upstream.seen[0]
    assert {name for name, _ in exchange.headers} <= {
        "accept",
        "accept-encoding",
        "user-agent",
        "host",
        "x-seda-identity",
        "x-request-id",
        "traceparent",
    }
    identities = [value for name, value in exchange.headers if name == "x-seda-identity"]
    assert len(identities) == 1
    assert (await identity_seen(client, exchange))["sub"] == nina.user_id


async def test_the_body_and_its_type_travel_in_and_the_allowed_headers_out(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
            b'etag: "1"\r\nlocation: /api/v1/artists/1\r\nserver: x\r\nset-cookie: a=b\r\n'
            b"access-control-allow-origin: *\r\nx-powered-by: y\r\n\r\n{}"
        )

    upstream.behaviour = answer
    nina = await sign_up(client)
    got = await nina.call("POST", "/artists", json={"artist_name": "Zoë"})
    sent = upstream.seen[0]
    assert json.loads(sent.body) == {"artist_name": "Zoë"}
    assert sent.header("content-type") == "application/json"
    assert (got.status_code, got.content) == (201, b"{}")
    assert (got.headers["etag"], got.headers["location"]) == ('"1"', "/api/v1/artists/1")
    assert got.headers["server"] == "seda"
    assert not {"set-cookie", "access-control-allow-origin", "x-powered-by"} & set(got.headers)


@pytest.mark.parametrize(
    ("method", "head", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n", 200),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n', 304),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ],
)
async def test_answers_without_a_body_end_at_once(
    client: httpx.AsyncClient, upstream: Upstream, method: str, head: bytes, status: int
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(head)

    upstream.behaviour = answer
    nina = await sign_up(client)
    got = await nina.call(method, "/users/1")
    assert (got.status_code, got.content) == (status, b"")


async def test_attack_094_a_redirect_is_passed_on_and_not_followed(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def answer(exchange: Exchange) -> None:
        location = f"{upstream.url}/internal".encode()
        await exchange.send(
            b"HTTP/1.1 302 Found\r\nlocation: " + location + b"\r\ncontent-length: 0\r\n\r\n"
        )

    upstream.behaviour = answer
    assert (await client.get("/api/v1/users/1")).status_code == 302
    assert len(upstream.seen) == 1


async def test_attack_094_a_service_that_is_down_is_a_502(
    settings: Settings, start: Callable[..., Running]
) -> None:
    async with Upstream() as gone:
        url = gone.url
    down = msgspec.structs.replace(settings, track_unfurl_url=url)
    async with start(down) as client:
        answer = await client.get("/api/v1/tracks/popular")
    assert code(answer) == (502, "upstream_unavailable")
    assert "127.0.0.1" not in answer.text


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n", b"nonsense\r\n\r\n"]
)
async def test_attack_094_a_service_that_hangs_up_or_babbles_is_a_502(
    client: httpx.AsyncClient, upstream: Upstream, head: bytes
) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.writer.write(head)
        exchange.writer.close()

    upstream.behaviour = answer
    assert code(await client.get("/api/v1/tracks/popular")) == (502, "upstream_unavailable")


async def test_attack_094_a_slow_service_is_a_504(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def never(exchange: Exchange) -> None:
        await exchange.reader.read()

    upstream.behaviour = never
    started = time.perf_counter()
    assert code(await client.get("/api/v1/tracks/popular")) == (504, "upstream_timeout")
    assert time.perf_counter() - started < 2


async def test_a_read_is_tried_once_more_on_a_connection_closed_under_it(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def close_first(exchange: Exchange) -> None:
        if len(upstream.seen) == 1:
            exchange.writer.close()
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    upstream.behaviour = close_first
    assert (await client.get("/api/v1/tracks/popular")).status_code == 200
    assert len(upstream.seen) == 2


async def test_a_write_is_never_tried_twice(client: httpx.AsyncClient, upstream: Upstream) -> None:
    async def close(exchange: Exchange) -> None:
        exchange.writer.close()

    upstream.behaviour = close
    nina = await sign_up(client)
    answer = await nina.call("POST", "/chat/rooms", json={"name": "x"})
    assert code(answer) == (502, "upstream_unavailable")
    assert len(upstream.seen) == 1


async def test_a_service_that_refuses_nobody_gets_a_challenge_added(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")

    upstream.behaviour = refuse
    answer = await client.get("/api/v1/users/me")
    assert answer.headers["www-authenticate"] == 'Bearer realm="seda.fm"'


@pytest.mark.parametrize("path", ["/api/v1/usersx", "/api/v1/nothing", "/users", "/.env"])
async def test_unknown_paths_are_a_404_problem(
    client: httpx.AsyncClient, upstream: Upstream, path: str
) -> None:
    answer = await client.get(path)
    assert code(answer) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert upstream.connections == 0


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
async def test_attack_063_other_methods_stay_outside(
    client: httpx.AsyncClient, upstream: Upstream, method: str
) -> None:
    nina = await sign_up(client)
    request = client.build_request(method, "/api/v1/users/me", headers=nina.headers)
    request.method = method
    answer = await client.send(request)
    assert answer.status_code == 405
    assert upstream.connections == 0


async def test_attack_063_tricky_paths_are_refused_before_routing(
    app: Litestar, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    for raw in (
        b"/api/v1/users/../admin/crawler/jobs",
        b"/api/v1/users/%2e%2e/admin/crawler/jobs",
        b"/api/v1//users/me",
        b"/api/v1/users%2Fme",
        b"/api/v1/users/me;x=1",
        b"/api/v1/auth%2Fme",
        b"/api/v1/users/%ff",
    ):
        exchange = Asgi(app, "GET", raw, nina.headers)
        await exchange.run()
        assert exchange.status == 400, raw
        assert json.loads(exchange.body)["code"] == "unsound_path"
    assert upstream.connections == 0


async def test_a_body_over_the_cap_is_refused_by_its_length(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    headers = {"content-type": "application/json"}
    just = await nina.call("POST", "/artists", content=b"x" * 1_048_576, headers=headers)
    over = await nina.call("POST", "/artists", content=b"x" * 1_048_577, headers=headers)
    assert just.status_code == 200
    assert code(over) == (413, "too_large")
    assert len(upstream.seen) == 1


async def test_a_body_that_lies_about_its_length_is_cut_at_the_cap(
    app: Litestar, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def read_all(exchange: Exchange) -> None:
        while await exchange.part():
            pass
        raise AssertionError("the service must never see the end of it")

    upstream.behaviour = read_all
    nina = await sign_up(client)
    endless = Asgi(app, "POST", b"/api/v1/artists", {**nina.headers, **CHUNKED_JSON})
    for _ in range(20):
        endless.say(b"x" * 65_536)
    await endless.run()
    assert endless.status == 413


async def test_a_request_body_streams_through_before_it_is_complete(
    app: Litestar, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    arrived = asyncio.Event()

    async def read_parts(exchange: Exchange) -> None:
        assert await exchange.part() == b"one"
        arrived.set()
        assert await exchange.part() == b"two"
        assert await exchange.part() == b""
        await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    upstream.behaviour = read_parts
    nina = await sign_up(client)
    exchange = Asgi(app, "POST", b"/api/v1/artists", {**nina.headers, **CHUNKED_JSON})
    exchange.say(b"one")
    running = asyncio.ensure_future(exchange.run())
    await asyncio.wait_for(arrived.wait(), 5)
    exchange.say(b"two")
    exchange.say(b"", more=False)
    await asyncio.wait_for(running, 5)
    assert (exchange.status, exchange.body) == (200, b"ok")


async def test_an_answer_streams_through_before_it_is_complete(
    app: Litestar, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    proceed = asyncio.Event()

    async def in_two_parts(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await proceed.wait()
        await exchange.send(b"3\r\ntwo\r\n0\r\n\r\n")

    upstream.behaviour = in_two_parts
    exchange = Asgi(app, "GET", b"/api/v1/tracks/popular", {})
    running = asyncio.ensure_future(exchange.run())
    assert await asyncio.wait_for(exchange.next_part(), 5) == b"one"
    proceed.set()
    await asyncio.wait_for(running, 5)
    assert exchange.body == b"onetwo"


async def test_attack_094_an_answer_that_breaks_off_is_never_finished(
    app: Litestar, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    async def half(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await parted.wait()
        exchange.writer.close()

    parted = asyncio.Event()
    upstream.behaviour = half
    exchange = Asgi(app, "GET", b"/api/v1/tracks/popular", {})
    running = asyncio.ensure_future(exchange.run())
    assert await asyncio.wait_for(exchange.next_part(), 5) == b"one"
    parted.set()
    with pytest.raises(Exception, match=r"."):
        await asyncio.wait_for(running, 5)
    assert not exchange.finished


@pytest.mark.parametrize(
    "garbage",
    ["", "00-0-0-0", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01", "x" * 4_000, "00-" + "0" * 32],
)
async def test_attack_095_a_garbage_trace_is_replaced(
    client: httpx.AsyncClient, upstream: Upstream, garbage: str
) -> None:
    headers = {"traceparent": garbage, "tracestate": garbage, "baggage": garbage}
    answer = await client.get("/api/v1/tracks/popular", headers=headers)
    assert answer.status_code == 200
    assert upstream.seen[0].header("traceparent") != garbage
    assert upstream.seen[0].header("baggage") is None


async def test_a_callers_trace_goes_on_in_the_service(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    await client.get("/api/v1/tracks/popular", headers=headers)
    carried = upstream.seen[0].header("traceparent") or ""
    assert carried.split("-")[1] == trace_id
    assert carried != headers["traceparent"]


CHUNKED_JSON = {"content-type": "application/json", "transfer-encoding": "chunked"}


class Asgi:
    """One exchange with the application itself, part by part and to the byte."""

    def __init__(
        self, app: Litestar, method: str, raw_path: bytes, headers: dict[str, str]
    ) -> None:
        self._app = app
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()
        self.status = 0
        self.body = b""
        self.finished = False
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": httpx.URL(f"http://x{raw_path.decode()}").path,
            "raw_path": raw_path,
            "query_string": b"",
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        if "transfer-encoding" not in headers:
            self.say(b"", more=False)

    def say(self, body: bytes, *, more: bool = True) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def run(self) -> None:
        await self._app(self._scope, self._incoming.get, self._hear)  # type: ignore[arg-type]

    async def next_part(self) -> bytes:
        return await self._parts.get()

    async def _hear(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert self.status == 0, "an answer has one start"
            self.status = message["status"]
        else:
            self.body += message["body"]
            self.finished = not message.get("more_body", False)
            if message["body"]:
                self._parts.put_nowait(message["body"])
