"""Tokens verify against the served keys, and waiting and running behave as tests rely on."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from litestar import Litestar, get
from seda_identity.identity import IdentityVerifier, InvalidIdentity
from seda_identity.tokens import JwksCache, TokenExpired, TokenVerifier
from seda_testkit.app import running
from seda_testkit.eventually import eventually
from seda_testkit.keys import GatewayKeys


async def test_an_identity_is_accepted_for_its_own_request_only(
    keys: GatewayKeys, identity_headers: Callable[..., dict[str, str]]
) -> None:
    user_id = uuid4()
    headers = identity_headers("crawler", "GET", "/api/v1/x?page=2", user_id=user_id, role="ADMIN")
    verifier = IdentityVerifier(keys.gateway_url, audience="crawler")
    token = headers["X-Seda-Identity"]
    principal = await verifier.principal(token, method="GET", path="/api/v1/x")
    assert principal.user_id == user_id
    with pytest.raises(InvalidIdentity):
        await verifier.principal(token, method="DELETE", path="/api/v1/x")


async def test_access_tokens_and_tickets_verify_and_expire(keys: GatewayKeys) -> None:
    published = JwksCache(f"{keys.gateway_url}/.well-known/jwks.json")
    access = TokenVerifier(
        published, issuer="seda-gateway", audience="seda-api", token_type="at+jwt"
    )
    ticket = TokenVerifier(
        published, issuer="seda-gateway", audience="chat-realtime", token_type="seda-ticket+jwt"
    )
    user_id = uuid4()
    assert (await access.verify(keys.access_token(user_id)))["sub"] == str(user_id)
    assert (await ticket.verify(keys.socket_ticket(user_id)))["sub"] == str(user_id)
    with pytest.raises(TokenExpired):
        await access.verify(keys.access_token(user_id, exp=1))


async def test_eventually_returns_the_first_truthy_answer() -> None:
    answers = iter([0, 0, 7])
    assert await eventually(lambda: next(answers)) == 7


async def test_eventually_ends_with_the_last_failed_assertion() -> None:
    def never() -> bool:
        raise AssertionError("the card is missing")

    with pytest.raises(AssertionError, match="the card is missing"):
        await eventually(never, timeout_seconds=0.05)


async def test_running_brackets_requests_with_start_up_and_shutdown() -> None:
    steps: list[str] = []

    @get("/", sync_to_thread=False)
    def root() -> str:
        steps.append("request")
        return "hello"

    app = Litestar(
        [root],
        on_startup=[lambda: steps.append("start")],
        on_shutdown=[lambda: steps.append("stop")],
    )
    async with running(app) as client:
        assert (await client.get("/")).text == "hello"
    assert steps == ["start", "request", "stop"]


async def test_running_passes_on_why_the_start_failed() -> None:
    def refuse() -> None:
        raise ConnectionError("no broker")

    no_broker = pytest.RaisesExc(ConnectionError, match="no broker")
    with pytest.RaisesGroup(no_broker):
        async with running(Litestar([], on_startup=[refuse])):
            pass
