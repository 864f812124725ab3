"""A caller is whom it says, a clock moves by hand, errors are found where they are defined."""

import json
from datetime import timedelta
from uuid import uuid4

import httpx
import jwt
from seda_testkit import binaries, postgres
from seda_testkit.caller import Caller
from seda_testkit.clock import NOON, HandClock
from seda_testkit.keys import GatewayKeys
from seda_testkit.problems import errors_of


def echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"url": str(request.url), "headers": dict(request.headers)})


async def test_a_caller_adds_an_identity_to_what_the_test_says(keys: GatewayKeys) -> None:
    user_id = uuid4()
    transport = httpx.MockTransport(echo)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        call = Caller(client, keys, "crawler", prefix="/api/v1/admin", user_id=user_id)
        said = json.loads((await call("GET", "/jobs?page=2", headers={"X-More": "1"})).content)
    assert said["url"] == "http://test/api/v1/admin/jobs?page=2"
    assert said["headers"]["x-more"] == "1"
    claims = jwt.decode(said["headers"]["x-seda-identity"], options={"verify_signature": False})
    assert (claims["aud"], claims["sub"], claims["m"]) == ("crawler", str(user_id), "GET")


def test_a_clock_moves_only_by_hand(clock: HandClock) -> None:
    assert clock() == clock() == NOON
    clock.pass_by(timedelta(seconds=1))
    assert clock() == NOON + timedelta(seconds=1)


def test_the_errors_of_a_module_are_its_own() -> None:
    assert errors_of(postgres) == {postgres.PostgresFailed}
    assert errors_of(binaries, postgres) == {binaries.ProgramMissing, postgres.PostgresFailed}
