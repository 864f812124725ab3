"""Forged, stolen and misused access tokens, from the public knowledge of such attacks."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import msgspec
import pytest
from auth_gateway.app import create_app
from auth_gateway.keys.domain import KeySet, SigningKey
from auth_gateway.keys.files import load_keys, new_signing_key
from auth_gateway.keys.signing import Signer, private_key
from auth_gateway.settings import Settings
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from seda_testkit.app import running
from seda_testkit.databases import ServiceDatabase
from seda_testkit.nats import EmbeddedNats

from ..conftest import settings_of
from ..people import Person, sign_up
from ..upstream import Upstream

ME = "/api/v1/auth/me"
REFUSED = (401, "invalid_token")


class Forger:
    """Somebody with a valid session, and for some attacks the gateway's own keys."""

    def __init__(self, person: Person, keys: KeySet) -> None:
        self.person = person
        self.keys = keys
        self.claims: dict[str, Any] = jwt.decode(
            person.access_token, options={"verify_signature": False}
        )
        self.header: dict[str, Any] = jwt.get_unverified_header(person.access_token)

    async def present(self, token: str) -> tuple[int, str]:
        headers = {"authorization": f"Bearer {token}"}
        answer = await self.person.client.get(ME, headers=headers)
        if answer.status_code == 200:
            return 200, "let in"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        return answer.status_code, answer.json()["code"]

    def signed(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """With the gateway's real key: what is wrong is only what the test changed."""
        changed = {k: v for k, v in {**self.claims, **claims}.items() if v is not ...}
        return self.signed_raw(
            json.dumps({**self.header, **(header or {})}).encode(), json.dumps(changed).encode()
        )

    def signed_raw(self, header: bytes, payload: bytes, key: SigningKey | None = None) -> str:
        signing_input = f"{encoded(header)}.{encoded(payload)}".encode()
        signer = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        signature = signer.sign(signing_input, private_key(key or self.keys.access.current))
        return f"{signing_input.decode()}.{encoded(signature)}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@asynccontextmanager
async def forging(settings: Settings, folder: Path) -> AsyncIterator[Forger]:
    kept = msgspec.structs.replace(settings, auth_keyset_dir=str(folder))
    async with running(create_app(kept)) as client:
        yield Forger(await sign_up(client), load_keys(folder, may_make=False))


@pytest.fixture(scope="module")
async def untouched() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
async def forger(
    database: ServiceDatabase,
    broker: EmbeddedNats,
    untouched: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Forger]:
    """One for all: a refusal leaves nothing behind."""
    settings = settings_of(database, broker, untouched)
    async with forging(settings, tmp_path_factory.mktemp("keys") / "keys") as forger:
        yield forger
    await database.delete_rows()


async def test_an_unchanged_token_signed_anew_is_accepted(forger: Forger) -> None:
    """The control: every refusal below is due to what that test changes."""
    assert await forger.present(forger.signed()) == (200, "let in")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("keeps_signature", [True, False])
async def test_attack_001_no_algorithm_is_no_signature(
    forger: Forger, alg: str, keeps_signature: bool
) -> None:
    _, payload, signature = forger.person.access_token.split(".")
    header = encoded(json.dumps({**forger.header, "alg": alg}).encode())
    token = f"{header}.{payload}.{signature if keeps_signature else ''}"
    assert await forger.present(token) == REFUSED


@pytest.mark.parametrize("spelling", ["pem", "der", "jwk", "point"])
async def test_attack_002_the_public_key_is_not_a_shared_secret(
    forger: Forger, spelling: str
) -> None:
    public = private_key(forger.keys.access.current).public_key()
    jwk = Signer(forger.keys.access).jwks()["keys"][1]
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk).encode(),
        "point": public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    }[spelling]
    header = encoded(json.dumps({**forger.header, "alg": "HS256"}).encode())
    signing_input = f"{header}.{forger.person.access_token.split('.')[1]}"
    mac = hmac.digest(secret, signing_input.encode(), hashlib.sha256)
    assert await forger.present(f"{signing_input}.{encoded(mac)}") == REFUSED


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_attack_003_a_key_in_the_header_is_not_used_and_nothing_is_fetched(
    forger: Forger, name: str, untouched: Upstream
) -> None:
    own = new_signing_key()
    value: Any = untouched.url if name in ("jku", "x5u") else jwk_of(own)
    header = json.dumps({**forger.header, "kid": own.kid, name: value}).encode()
    token = forger.signed_raw(header, json.dumps(forger.claims).encode(), own)
    assert await forger.present(token) == REFUSED
    assert untouched.connections == 0


@pytest.mark.parametrize(
    "kid",
    [
        "../../etc/passwd",
        "' OR 1=1 --",
        "$(id)",
        "http://127.0.0.1/key",
        "x\x00y",
        "k" * 5_000,
        ["a"],
        None,
        {},
        7,
    ],
)
async def test_attack_004_a_hostile_key_id_finds_nothing(forger: Forger, kid: Any) -> None:
    assert await forger.present(forger.signed({"kid": kid})) == REFUSED


async def test_attack_005_the_key_must_be_the_one_that_is_named(forger: Forger) -> None:
    header = json.dumps({**forger.header, "kid": forger.keys.access.next.kid}).encode()
    token = forger.signed_raw(header, json.dumps(forger.claims).encode())
    assert await forger.present(token) == REFUSED


async def test_attack_005_the_internal_ring_signs_no_access_token(forger: Forger) -> None:
    internal = forger.keys.internal.current
    header = json.dumps({**forger.header, "kid": internal.kid}).encode()
    token = forger.signed_raw(header, json.dumps(forger.claims).encode(), internal)
    assert await forger.present(token) == REFUSED


async def test_attack_006_only_a_sound_token_past_its_time_is_called_expired(
    forger: Forger,
) -> None:
    past = int(time.time()) - 31
    expired = forger.signed(exp=past, iat=past - 900, nbf=past - 900)
    assert await forger.present(expired) == (401, "token_expired")
    assert await forger.present(expired[:-10] + "A" * 10) == REFUSED


@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"exp": ...},
        {"exp": "4000000000"},
        {"exp": 4_000_000_000.5},
        {"exp": True},
        {"exp": None},
        {"exp": [1]},
        {"exp": 10**400},
        {"iat": ...},
        {"iat": "now"},
    ],
)
async def test_attack_006_times_that_are_no_times_are_refused(
    forger: Forger, changes: dict[str, Any]
) -> None:
    assert await forger.present(forger.signed(**changes)) == REFUSED


@pytest.mark.parametrize(
    "aud", [..., "chat-realtime", "seda-ap", "seda-api2", "SEDA-API", ["seda-api", "x"], [], 1]
)
async def test_attack_007_a_token_for_somebody_else_is_refused(forger: Forger, aud: Any) -> None:
    assert await forger.present(forger.signed(aud=aud)) == REFUSED


@pytest.mark.parametrize("iss", [..., "seda-gateway-qa", "SEDA-GATEWAY", "", ["seda-gateway"]])
async def test_attack_008_a_token_of_another_issuer_is_refused(forger: Forger, iss: Any) -> None:
    assert await forger.present(forger.signed(iss=iss)) == REFUSED


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "at+JWT", "seda-ticket+jwt", "seda-internal+jwt", "", None]
)
async def test_attack_009_a_token_of_another_type_is_refused(forger: Forger, typ: Any) -> None:
    assert await forger.present(forger.signed({"typ": typ})) == REFUSED


async def test_attack_009_a_ticket_and_a_refresh_token_open_no_route(forger: Forger) -> None:
    ticket = (await forger.person.call("POST", "/realtime/connect")).json()["ticket"]
    assert await forger.present(ticket) == REFUSED
    assert await forger.present(forger.person.refresh_token) == REFUSED


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}])
async def test_attack_010_extensions_nobody_understands_are_refused(
    forger: Forger, header: dict[str, Any]
) -> None:
    assert await forger.present(forger.signed(header)) == REFUSED


async def test_attack_011_a_claim_that_is_named_twice_is_refused(forger: Forger) -> None:
    payload = json.dumps(forger.claims)
    doubled = payload[:-1] + f', "sub": "{uuid4()}"}}'
    token = forger.signed_raw(json.dumps(forger.header).encode(), doubled.encode())
    assert await forger.present(token) == REFUSED


@pytest.mark.parametrize("change", ["pad", "newline", "space", "tail", "plus", "json", "dots"])
async def test_attack_012_only_one_spelling_of_a_token_is_accepted(
    forger: Forger, change: str
) -> None:
    good = forger.person.access_token
    header, payload, signature = good.split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled = {
        "pad": good + "==",
        "newline": good[:-5] + "\n" + good[-5:],
        "space": good[:-5] + " " + good[-5:],
        "tail": good[:-1] + letters[letters.index(good[-1]) + 1],
        "plus": f"{header}.{payload}.{signature[:-2]}+{signature[-1]}",
        "json": json.dumps({"protected": header, "payload": payload, "signature": signature}),
        "dots": good + ".x",
    }[change]
    try:
        assert await forger.present(spelled) == REFUSED
    except httpx.LocalProtocolError:
        assert change == "newline"


@pytest.mark.parametrize("parts", [5, 3])
async def test_attack_013_an_encrypted_token_is_not_even_opened(forger: Forger, parts: int) -> None:
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "zip": "DEF"}
    token = ".".join([encoded(json.dumps(header).encode()), *["AAAA"] * (parts - 1)])
    started = time.process_time()
    assert await forger.present(token) == REFUSED
    assert time.process_time() - started < 0.5


async def test_attack_014_odd_signatures_are_refused(forger: Forger) -> None:
    signing_input, _, signature = forger.person.access_token.rpartition(".")
    private = private_key(forger.keys.access.current)
    der = private.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
    for odd in (bytes(64), b"\xff" * 64, der, b"", bytes(63), bytes(65)):
        assert await forger.present(f"{signing_input}.{encoded(odd)}") == REFUSED
    assert signature


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": ...},
        {"sub": "nobody"},
        {"sub": 7},
        {"sid": ...},
        {"sid": "x"},
        {"role": ...},
        {"role": "ROOT"},
        {"role": 3},
        {"perm_v": ...},
        {"perm_v": "x"},
        {"aal": ...},
    ],
)
async def test_a_token_without_its_claims_is_refused(
    forger: Forger, changes: dict[str, Any]
) -> None:
    assert await forger.present(forger.signed(**changes)) == REFUSED


@pytest.mark.parametrize("token", ["", "x", ".", "..", "a.b.c", "é.é.é", "A" * 20_000])
async def test_what_is_no_token_is_refused(forger: Forger, token: str) -> None:
    headers = {"authorization": f"Bearer {token}".encode()}
    answer = await forger.person.client.get(ME, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == REFUSED


async def test_attack_024_another_scheme_is_refused(forger: Forger) -> None:
    for value in ("Basic bmluYTp2ZWx2ZXQ=", f"Token {forger.person.access_token}", "Bearer"):
        answer = await forger.person.client.get(ME, headers={"authorization": value})
        assert (answer.status_code, answer.json()["code"]) == REFUSED


async def test_attack_074_two_credentials_at_once_are_refused(forger: Forger) -> None:
    twice = [("authorization", f"Bearer {forger.person.access_token}")] * 2
    answer = await forger.person.client.get(ME, headers=twice)
    assert (answer.status_code, answer.json()["code"]) == REFUSED


@pytest.mark.parametrize("path", [ME, "/api/v1/users/me", "/api/v1/tracks/popular"])
async def test_attack_025_a_token_in_the_address_or_a_cookie_is_not_read(
    forger: Forger, untouched: Upstream, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = forger.person.access_token
    client = forger.person.client
    in_query = await client.get(path, params={"access_token": token})
    assert (in_query.status_code, in_query.json()["code"]) == REFUSED
    cookie = {"cookie": f"access_token={token}; __Host-seda_at={token}"}
    in_cookie = await client.get(ME, headers=cookie)
    assert (in_cookie.status_code, in_cookie.json()["code"]) == (401, "missing_token")
    assert untouched.seen == []
    logged = capsys.readouterr().out
    assert "request.served" in logged
    assert token not in logged


async def test_a_missing_token_is_told_apart_from_a_wrong_one(forger: Forger) -> None:
    answer = await forger.person.client.get(ME)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_token")
    assert answer.json()["detail"] == "Missing authentication token"
    assert answer.headers["www-authenticate"] == 'Bearer realm="seda.fm"'


async def test_an_expired_access_token_does_not_hinder_a_refresh(forger: Forger) -> None:
    past = int(time.time()) - 1_000
    expired = forger.signed(exp=past, iat=past - 900, nbf=past - 900)
    answer = await forger.person.client.post(
        "/api/v1/auth/refresh",
        json={"refresh_token": forger.person.refresh_token},
        headers={"authorization": f"Bearer {expired}"},
    )
    assert answer.status_code == 200


def jwk_of(key: SigningKey) -> dict[str, Any]:
    public = private_key(key).public_key()
    return {**jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True), "kid": key.kid}
