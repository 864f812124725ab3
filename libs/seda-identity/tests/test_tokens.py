"""Hostile tokens, by the numbers of the threat model: each is refused, and none reaches a claim."""

import base64
import hmac
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from seda_identity.tokens import (
    InvalidToken,
    JwksCache,
    KeysUnavailable,
    TokenExpired,
    TokenVerifier,
)
from seda_testkit.keys import GatewayKeys

USER = uuid4()


@pytest.fixture
def verifier(keys: GatewayKeys) -> TokenVerifier:
    cache = JwksCache(f"{keys.gateway_url}/.well-known/jwks.json")
    return TokenVerifier(cache, issuer="seda-gateway", audience="seda-api", token_type="at+jwt")


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    sound: dict[str, Any] = {
        "iss": "seda-gateway",
        "aud": "seda-api",
        "sub": str(USER),
        "iat": now,
        "exp": now + 60,
    }
    return {k: v for k, v in (sound | changes).items() if v is not None}


def signed(keys: GatewayKeys, header: dict[str, Any] | None = None, **changes: Any) -> str:
    headers = {"typ": "at+jwt", "kid": keys.access_key.key_id} | (header or {})
    return jwt.encode(claims(**changes), keys.access_key.private, "ES256", headers=headers)


async def refused(verifier: TokenVerifier, token: str) -> InvalidToken:
    with pytest.raises(InvalidToken) as caught:
        await verifier.verify(token)
    return caught.value


async def test_a_sound_token_gives_its_claims_again_and_again(
    verifier: TokenVerifier, keys: GatewayKeys
) -> None:
    token = signed(keys)
    assert (await verifier.verify(token))["sub"] == str(USER)
    assert (await verifier.verify(token))["sub"] == str(USER)


@pytest.mark.parametrize(("remembered_max", "checks"), [(0, 2), (1, 1)])
async def test_a_token_is_checked_again_unless_it_is_remembered(
    keys: GatewayKeys, monkeypatch: pytest.MonkeyPatch, remembered_max: int, checks: int
) -> None:
    asked: list[str] = []
    real = JwksCache.key

    async def counted(self: JwksCache, kid: str) -> Any:
        asked.append(kid)
        return await real(self, kid)

    monkeypatch.setattr(JwksCache, "key", counted)
    verifier = TokenVerifier(
        JwksCache(f"{keys.gateway_url}/.well-known/jwks.json"),
        issuer="seda-gateway",
        audience="seda-api",
        token_type="at+jwt",
        remembered_max=remembered_max,
    )
    token = signed(keys)
    assert await verifier.verify(token) == await verifier.verify(token)
    assert len(asked) == checks


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_attack_001_no_algorithm(
    verifier: TokenVerifier, keys: GatewayKeys, name: str, signature: str
) -> None:
    header = {"alg": name, "typ": "at+jwt", "kid": keys.access_key.key_id}
    await refused(verifier, f"{part(header)}.{part(claims())}.{signature}")


async def test_attack_002_the_public_key_used_as_a_shared_secret(
    verifier: TokenVerifier, keys: GatewayKeys
) -> None:
    public = keys.access_key.private.public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    secrets = [
        public.public_bytes(serialization.Encoding.DER, spki),
        json.dumps(keys.access_key.public_jwk()).encode(),
        public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        ),
    ]
    header = part({"alg": "HS256", "typ": "at+jwt", "kid": keys.access_key.key_id})
    signing_input = f"{header}.{part(claims())}"
    for secret in secrets:
        forged = hmac.digest(secret, signing_input.encode(), "sha256")
        await refused(verifier, f"{signing_input}.{part(forged)}")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_attack_003_a_key_brought_along(
    verifier: TokenVerifier, keys: GatewayKeys, name: str
) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    headers = {"typ": "at+jwt", "kid": keys.access_key.key_id, name: "http://127.0.0.1:1/"}
    await refused(verifier, jwt.encode(claims(), own, "ES256", headers=headers))


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "' OR 1=1 --", "$(id)", "http://x/", "\x00", "k" * 5_000, [], None]
)
async def test_attack_004_a_strange_key_id(
    verifier: TokenVerifier, keys: GatewayKeys, kid: Any
) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
    await refused(verifier, f"{part(header)}.{part(claims())}.{part(b'x' * 64)}")


async def test_attack_005_signed_by_another_key_of_the_issuer(
    verifier: TokenVerifier, keys: GatewayKeys
) -> None:
    headers = {"typ": "at+jwt", "kid": keys.access_key.key_id}
    token = jwt.encode(claims(), keys.internal_key.private, "ES256", headers=headers)
    await refused(verifier, token)


@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": 2**40},
        {"iat": 2**40},
        {"exp": None},
        {"exp": "soon"},
        {"exp": []},
        {"aud": None},
        {"aud": "crawler"},
        {"aud": "SEDA-API"},
        {"aud": ["seda-api", "crawler"]},
        {"iss": None},
        {"iss": "https://qa.seda.fm"},
    ],
)
async def test_attack_006_to_008_wrong_time_audience_or_issuer(
    verifier: TokenVerifier, keys: GatewayKeys, changes: dict[str, Any]
) -> None:
    error = await refused(verifier, signed(keys, **changes))
    assert not isinstance(error, TokenExpired)


async def test_only_a_sound_but_old_token_is_called_expired(
    verifier: TokenVerifier, keys: GatewayKeys
) -> None:
    with pytest.raises(TokenExpired):
        await verifier.verify(signed(keys, exp=int(time.time()) - 31))
    await verifier.verify(signed(keys, exp=int(time.time()) - 20))  # within the leeway


@pytest.mark.parametrize("typ", ["JWT", "seda-internal+jwt", "seda-ticket+jwt", "AT+JWT", None])
async def test_attack_009_a_token_of_another_kind(
    verifier: TokenVerifier, keys: GatewayKeys, typ: str | None
) -> None:
    await refused(verifier, signed(keys, {"typ": typ}))


async def test_attack_010_unknown_critical_extensions(
    verifier: TokenVerifier, keys: GatewayKeys
) -> None:
    await refused(verifier, signed(keys, {"crit": ["x"], "x": 1}))
    await refused(verifier, signed(keys, {"b64": False, "crit": ["b64"]}))


@pytest.mark.parametrize("change", ["=", "\n", " ", ".", "é"])
async def test_attack_012_a_second_spelling_of_a_sound_token(
    verifier: TokenVerifier, keys: GatewayKeys, change: str
) -> None:
    await refused(verifier, signed(keys) + change)


@pytest.mark.parametrize("signature", [b"\x00" * 64, b"", b"\x30\x06\x02\x01\x01\x02\x01\x01"])
async def test_attack_014_degenerate_signatures(
    verifier: TokenVerifier, keys: GatewayKeys, signature: bytes
) -> None:
    head, body, _ = signed(keys).split(".")
    await refused(verifier, f"{head}.{body}.{part(signature)}")


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "x" * 9_000, "[" * 5_000, "é.é.é"])
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    await refused(verifier, token)


async def test_attack_125_random_key_ids_do_not_flood_the_issuer(
    verifier: TokenVerifier, keys: GatewayKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verifier.verify(signed(keys))
    fetches: list[int] = []
    real = JwksCache._fetch

    async def counted(self: JwksCache) -> None:
        fetches.append(1)
        await real(self)

    monkeypatch.setattr(JwksCache, "_fetch", counted)
    for number in range(50):
        await refused(verifier, signed(keys, {"kid": f"random-{number}"}))
    assert fetches == []


async def test_an_issuer_that_is_away_is_an_outage_not_a_forgery() -> None:
    cache = JwksCache("http://127.0.0.1:9/.well-known/jwks.json")
    away = TokenVerifier(cache, issuer="i", audience="a", token_type="at+jwt")
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "k"}
    with pytest.raises(KeysUnavailable):
        await away.verify(f"{part(header)}.{part(claims())}.{'A' * 86}")
