"""The gateway as production runs it: its own process, real sockets, bytes on the wire."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from seda_identity import IdentityVerifier, InvalidIdentity
from seda_identity.tokens import InvalidToken, JwksCache, TokenVerifier
from seda_testkit.databases import ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port

from .people import sign_up
from .upstream import Exchange, Upstream, answer_ok


def logged(log_file: Path) -> str:
    return log_file.read_text()


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
def upstream(service: Upstream) -> Upstream:
    """The one server of this module, as if new."""
    service.behaviour = answer_ok
    service.seen.clear()
    service.connections = 0
    return service


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway") / "log"


@pytest.fixture(scope="module")
async def process(
    database: ServiceDatabase, broker: EmbeddedNats, service: Upstream, log_file: Path
) -> AsyncIterator[str]:
    """The address of `python -m auth_gateway serve`. It must end by itself when it is asked to."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    services = ("USER_ARTIST", "VERIFICATION", "CHAT_REALTIME", "TRACK_UNFURL", "CRAWLER")
    env = {
        **os.environ,
        "ENV": "test",
        "PORT": str(port),
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker.url,
        "AUTH_KEYSET_DIR": str(log_file.parent / "keys"),
        "UPSTREAM_READ_TIMEOUT_MS": "1000",
        "TRACE_SAMPLE_RATIO": "0",
        **{f"{name}_URL": service.url for name in services},
    }
    command = [sys.executable, "-m", "auth_gateway", "serve"]
    with log_file.open("wb") as log:
        running = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)  # noqa: ASYNC220
        try:

            async def is_up() -> bool:
                assert running.poll() is None, logged(log_file)
                async with httpx.AsyncClient(base_url=url) as client:
                    try:
                        return (await client.get("/readyz")).status_code == 200
                    except httpx.TransportError:
                        return False

            await eventually(is_up, timeout_seconds=60)
            yield url
            running.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.wait, 30) == 0
        finally:
            running.kill()
            running.wait()


@pytest.fixture
async def served(
    process: str, upstream: Upstream, database: ServiceDatabase
) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=process) as client:
        yield client
    await database.delete_rows()


async def raw(client: httpx.AsyncClient, request: bytes) -> bytes:
    """Send bytes as they are; what comes back until the gateway closes or is silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(request)
    await writer.drain()
    answer = b""
    try:
        while part := await asyncio.wait_for(reader.read(65_536), 0.7):
            answer += part
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return answer


async def test_the_process_serves_signs_up_and_passes_on(
    served: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(served)
    answer = await nina.call("POST", "/chat/rooms", json={"name": "velvet"})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert upstream.seen[0].body == b'{"name":"velvet"}'
    assert answer.headers["server"] == "seda"
    emoji = await nina.call("PUT", "/chat/rooms/1/messages/2/reactions/%F0%9F%8E%B5")
    assert emoji.status_code == 200
    assert upstream.seen[1].target.endswith("/reactions/%F0%9F%8E%B5")


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/users/../admin/crawler",
        b"/api/v1//users",
        b"/api/v1/users%2fme",
        b"/api/v1/users;x",
        b"//api/v1/users",
    ],
)
async def test_attack_063_tricky_paths_over_a_real_socket(
    served: httpx.AsyncClient, upstream: Upstream, target: bytes
) -> None:
    answer = await raw(served, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), answer
    assert upstream.connections == 0


SMUGGLED = b"GET /api/v1/tracks/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity, chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X: a\x00b\r\n",
        b" Folded: x\r\n",
    ],
)
async def test_attack_078_ambiguous_framing_is_refused(
    served: httpx.AsyncClient, upstream: Upstream, headers: bytes
) -> None:
    request = b"POST /api/v1/tracks HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + SMUGGLED
    answer = await raw(served, request)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert b"HTTP/1.1 200" not in answer
    assert all("smuggled" not in exchange.target for exchange in upstream.seen)


async def test_attack_078_a_length_beside_chunks_smuggles_nothing(
    served: httpx.AsyncClient, upstream: Upstream
) -> None:
    request = (
        b"POST /api/v1/tracks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED
    )
    await raw(served, request)
    assert all("smuggled" not in exchange.body.decode() for exchange in upstream.seen)


async def test_attack_089_headers_without_end_are_refused(served: httpx.AsyncClient) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(20_000))
    for request in (
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n",
        b"GET /" + b"a" * 700_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        answer = await raw(served, request)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert (await served.get("/api/v1/health")).status_code == 200


async def test_attack_090_no_upgrade_makes_a_tunnel(
    served: httpx.AsyncClient, upstream: Upstream
) -> None:
    for upgrade in (b"h2c", b"websocket"):
        answer = await raw(
            served,
            b"GET /api/v1/tracks/popular HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            b"Upgrade: " + upgrade + b"\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
        assert not answer.startswith(b"HTTP/1.1 101"), answer


async def test_an_answer_streams_to_a_real_client_before_it_is_complete(
    served: httpx.AsyncClient, upstream: Upstream
) -> None:
    proceed = asyncio.Event()

    async def in_two_parts(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await proceed.wait()
        await exchange.send(b"3\r\ntwo\r\n0\r\n\r\n")

    upstream.behaviour = in_two_parts
    async with served.stream("GET", "/api/v1/tracks/popular") as answer:
        parts = answer.aiter_raw()
        assert await asyncio.wait_for(anext(parts), 5) == b"one"
        proceed.set()
        assert b"".join([part async for part in parts]) == b"two"


@pytest.mark.parametrize("framing", [b"transfer-encoding: chunked", b"content-length: 100"])
async def test_attack_094_a_real_client_notices_an_answer_that_breaks_off(
    served: httpx.AsyncClient, upstream: Upstream, framing: bytes
) -> None:
    first = b"3\r\none\r\n" if b"chunked" in framing else b"one"

    async def half(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + first)
        exchange.writer.close()

    upstream.behaviour = half
    with pytest.raises(httpx.TransportError):
        await served.get("/api/v1/tracks/popular")
    assert (await served.get("/api/v1/health")).status_code == 200


async def test_the_process_leaves_no_address_and_no_token_in_its_log(
    served: httpx.AsyncClient, log_file: Path
) -> None:
    nina = await sign_up(served)
    await nina.call("GET", "/auth/me")
    await served.get("/api/v1/auth/me", params={"access_token": nina.access_token})
    await nina.refresh()
    written = logged(log_file)
    assert "request.served" in written
    for secret in ("seda.example", nina.access_token, nina.refresh_token, "127.0.0.1"):
        assert secret not in written


async def test_attack_082_a_service_believes_a_passport_only_as_this_request(
    served: httpx.AsyncClient, process: str, upstream: Upstream
) -> None:
    nina = await sign_up(served)
    await nina.call("POST", "/chat/rooms", json={})
    passport = upstream.seen[0].header("x-seda-identity") or ""
    path = "/api/v1/chat/rooms"
    chat = IdentityVerifier(process, audience="chat-realtime")
    caller = await chat.principal(passport, method="POST", path=path)
    assert (str(caller.user_id), caller.role.name, caller.aal) == (nina.user_id, "USER", 1)
    other = IdentityVerifier(process, audience="crawler")
    for verifier, method, where, token in (
        (other, "POST", path, passport),
        (chat, "GET", path, passport),
        (chat, "POST", path + "/1", passport),
        (chat, "POST", path, nina.access_token),
    ):
        with pytest.raises(InvalidIdentity):
            await verifier.principal(token, method=method, path=where)


async def test_the_socket_believes_a_ticket_by_the_published_keys(
    served: httpx.AsyncClient, process: str
) -> None:
    nina = await sign_up(served)
    ticket = (await nina.call("POST", "/realtime/connect")).json()["ticket"]
    keys = JwksCache(f"{process}/.well-known/jwks.json")
    tickets = TokenVerifier(
        keys, issuer="seda-gateway", audience="chat-realtime", token_type="seda-ticket+jwt"
    )
    assert (await tickets.verify(ticket))["sub"] == nina.user_id
    with pytest.raises(InvalidToken):
        await tickets.verify(nina.access_token)
