"""The ticket as the socket's listener will verify it."""

import httpx
import jwt

from ..people import sign_up


async def test_a_ticket_is_for_the_socket_for_this_session_and_for_thirty_seconds(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    answer = await nina.call("POST", "/realtime/connect")
    assert answer.status_code == 200
    held = answer.json()
    assert held["expires_in"] == 30
    assert held["url"] == "ws://127.0.0.1:3014/api/v1/realtime"
    assert held["ticket"] not in held["url"]
    header = jwt.get_unverified_header(held["ticket"])
    published = (await client.get("/.well-known/jwks.json")).json()["keys"]
    key = next(key for key in published if key["kid"] == header["kid"])
    claims = jwt.decode(
        held["ticket"],
        jwt.PyJWK(key).key,
        ["ES256"],
        audience="chat-realtime",
        issuer="seda-gateway",
    )
    access = jwt.decode(nina.access_token, options={"verify_signature": False})
    assert (header["typ"], header["alg"]) == ("seda-ticket+jwt", "ES256")
    assert (claims["sub"], claims["sid"], claims["role"]) == (nina.user_id, access["sid"], "USER")
    assert claims["perm_v"] == access["perm_v"]
    assert claims["exp"] - claims["iat"] == 30


async def test_attack_097_every_ticket_is_another_one(client: httpx.AsyncClient) -> None:
    nina = await sign_up(client)
    tickets = [(await nina.call("POST", "/realtime/connect")).json()["ticket"] for _ in range(5)]
    ids = {jwt.decode(t, options={"verify_signature": False})["jti"] for t in tickets}
    assert len(ids) == 5


async def test_nobody_gets_no_ticket(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/realtime/connect")
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_token")
