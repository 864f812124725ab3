"""Accounts over HTTP: sign-up, login, roles, and those who try to get around them."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import jwt
import msgspec
import pytest
from argon2 import PasswordHasher
from auth_gateway.settings import Settings
from seda_db import Database
from seda_testkit.databases import ServiceDatabase
from sqlalchemy import text

from ..conftest import ADMIN_API_KEY, Running
from ..people import PASSWORD, Person, log_in, sign_up, super_admin

SIGN_UP = "/api/v1/auth/signup"
LOG_IN = "/api/v1/auth/login"


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(path, json=body)


async def test_sign_up_answers_with_tokens_for_the_new_person(client: httpx.AsyncClient) -> None:
    answer = await post(client, SIGN_UP, email="nina@seda.example", password=PASSWORD)
    assert answer.status_code == 201
    held = answer.json()
    assert set(held) == {
        "user_id",
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
    }
    assert (held["token_type"], held["expires_in"]) == ("Bearer", 900)
    me = await client.get(
        "/api/v1/auth/me", headers={"authorization": f"Bearer {held['access_token']}"}
    )
    assert (me.json()["user_id"], me.json()["role"]) == (held["user_id"], "USER")


async def test_an_access_token_says_what_it_should_and_nothing_personal(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client, display_name="Nina S")
    header = jwt.get_unverified_header(nina.access_token)
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    claims = jwt.decode(nina.access_token, options={"verify_signature": False})
    assert claims["iss"] == "seda-gateway"
    assert claims["aud"] == "seda-api"
    assert claims["sub"] == nina.user_id
    assert (claims["role"], claims["aal"], claims["amr"]) == ("USER", 1, ["pwd"])
    assert claims["exp"] - claims["iat"] == 900
    assert {"sid", "client_id", "perm_v", "auth_time", "nbf", "jti"} <= set(claims)
    spelled = str(claims).lower()
    assert "seda.example" not in spelled
    assert "nina" not in spelled


async def test_a_registration_leaves_by_the_outbox_in_the_same_commit(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    nina = await sign_up(client, display_name=" Nina S ")
    refused = await post(client, SIGN_UP, email=nina.email, password=PASSWORD)
    assert refused.status_code == 409
    payloads = await rows(database, "SELECT payload FROM outbox WHERE subject LIKE '%registered%'")
    assert len(payloads) == 1
    event = msgspec.json.decode(payloads[0][0])
    assert (event["user_id"], event["display_name"]) == (nina.user_id, "Nina S")
    assert b"seda.example" not in payloads[0][0]


async def test_a_taken_address_is_refused_in_any_spelling(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    answer = await post(client, SIGN_UP, email=" NINA@Seda.Example", password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


async def test_of_ten_parallel_sign_ups_one_makes_the_account(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(post(client, SIGN_UP, email="nina@seda.example", password=PASSWORD) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_sign_up_can_be_switched_off(
    settings: Settings, start: Callable[..., Running]
) -> None:
    closed = msgspec.structs.replace(settings, auth_signup_enabled=False)
    async with start(closed) as client:
        answer = await post(client, SIGN_UP, email="nina@seda.example", password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (403, "signup_closed")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("velvet7", "weak_password"),
        ("password123", "weak_password"),
        ("nina@seda.example", "weak_password"),
        ("v" * 60 + "w" * 69, "password_too_long"),
    ],
)
async def test_attack_043_a_weak_password_is_refused(
    client: httpx.AsyncClient, password: str, code: str
) -> None:
    answer = await post(client, SIGN_UP, email="nina@seda.example", password=password)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize("path", [SIGN_UP, LOG_IN])
async def test_attack_044_a_huge_password_is_refused_before_hashing(
    client: httpx.AsyncClient, path: str
) -> None:
    started = time.process_time()
    answer = await post(client, path, email="nina@seda.example", password="v" * 1_000_000)
    assert answer.status_code == 422
    assert time.process_time() - started < 1
    larger = await post(client, path, email="nina@seda.example", password="v" * 1_100_000)
    assert larger.status_code == 413


@pytest.mark.parametrize(
    "field",
    ["role", "verified", "verified_at", "is_mod", "muted_until", "id", "user_id", "created_at"],
)
async def test_attack_051_a_field_that_is_not_asked_for_is_refused(
    client: httpx.AsyncClient, database: ServiceDatabase, field: str
) -> None:
    body = {"email": "nina@seda.example", "password": PASSWORD, field: "SUPER_ADMIN"}
    answer = await client.post(SIGN_UP, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert await rows(database, "SELECT 1 FROM account") == []


async def test_attack_069_a_form_carrying_json_is_refused(client: httpx.AsyncClient) -> None:
    body = b'{"email":"nina@seda.example","password":"seven rooms of velvet"}'
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await client.post(SIGN_UP, content=body, headers={"content-type": media_type})
        assert answer.status_code == 415
    answer = await client.post(SIGN_UP, content=body)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"email":1,"password":[]}',
        b'{"email":"\\ud800@seda.example","password":"seven rooms of velvet"}',
        b'{"email":"nina\\u0000@seda.example","password":"seven rooms of velvet"}',
        b"[" * 100_000,
        b'{"email":NaN,"password":1e309}',
    ],
)
async def test_attack_086_a_hostile_body_is_a_clients_error(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await client.post(SIGN_UP, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_login_opens_a_session_for_the_right_password_only(client: httpx.AsyncClient) -> None:
    nina = await sign_up(client)
    again = await log_in(client)
    assert again.user_id == nina.user_id
    for wrong in (PASSWORD + " ", PASSWORD.upper(), "x" * 8):
        answer = await post(client, LOG_IN, email=nina.email, password=wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")


async def test_attack_027_known_and_unknown_addresses_get_the_same_answer(
    client: httpx.AsyncClient,
) -> None:
    await sign_up(client)
    known = await post(client, LOG_IN, email="nina@seda.example", password="velvet seven")
    unknown = await post(client, LOG_IN, email="otto@seda.example", password="velvet seven")
    assert known.status_code == unknown.status_code == 401
    changing = {"request_id", "timestamp"}
    bodies = [
        {key: value for key, value in answer.json().items() if key not in changing}
        for answer in (known, unknown)
    ]
    assert bodies[0] == bodies[1]
    assert len(known.content) == len(unknown.content)
    assert set(known.headers) == set(unknown.headers)


async def test_attack_028_known_and_unknown_addresses_cost_the_same_time(
    client: httpx.AsyncClient,
) -> None:
    await sign_up(client)
    seconds: dict[str, list[float]] = {"nina": [], "otto": []}
    for _ in range(15):
        for name, taken in seconds.items():
            started = time.perf_counter()
            await post(client, LOG_IN, email=f"{name}@seda.example", password="velvet seven")
            taken.append(time.perf_counter() - started)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    # A skipped hash would make the unknown one several times faster.
    assert medians["otto"] > medians["nina"] / 2
    assert medians["nina"] > medians["otto"] / 2


async def test_attack_045_a_flood_of_logins_is_told_to_come_back(
    settings: Settings, start: Callable[..., Running]
) -> None:
    narrow = msgspec.structs.replace(settings, password_hash_workers=1, password_hash_waiting_max=1)
    async with start(narrow) as client:
        answers = await asyncio.gather(
            *(post(client, LOG_IN, email="x@seda.example", password=PASSWORD) for _ in range(12))
        )
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert {answer.json()["code"] for answer in refused} == {"busy"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.status_code for answer in answers} == {401, 503}


async def test_an_outdated_hash_is_replaced_at_login(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    nina = await sign_up(client)
    weaker = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    await rows(database, "UPDATE account SET password_hash = :hash RETURNING id", hash=weaker)
    await log_in(client)
    (stored,) = (await rows(database, "SELECT password_hash FROM account"))[0]
    assert stored != weaker
    assert "m=19456,t=2,p=1" in stored
    assert (await log_in(client)).user_id == nina.user_id


async def test_no_password_and_no_address_leaves_the_account_table(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    await sign_up(client)
    kept = await rows(database, "SELECT payload, headers::text, subject FROM outbox")
    assert kept
    assert "seda.example" not in str(kept)
    stored = str(await rows(database, "SELECT * FROM account, session"))
    assert PASSWORD not in stored


async def test_the_bootstrap_key_makes_one_super_admin_once(client: httpx.AsyncClient) -> None:
    nina = await super_admin(client, "nina", ADMIN_API_KEY)
    me = await nina.call("GET", "/auth/me")
    assert me.json()["role"] == "SUPER_ADMIN"
    otto = await sign_up(client, "otto")
    late = await otto.call("POST", "/auth/bootstrap", json={"admin_api_key": ADMIN_API_KEY})
    assert (late.status_code, late.json()["code"]) == (409, "already_bootstrapped")


@pytest.mark.parametrize("key", ["", "k" * 39, "k" * 41, "K" * 40, "kéy"])
async def test_a_wrong_bootstrap_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    nina = await sign_up(client)
    answer = await nina.call("POST", "/auth/bootstrap", json={"admin_api_key": key})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_admin_key")


async def test_an_empty_admin_key_switches_the_bootstrap_off(
    settings: Settings, start: Callable[..., Running]
) -> None:
    async with start(msgspec.structs.replace(settings, admin_api_key="")) as client:
        nina = await sign_up(client)
        answer = await nina.call("POST", "/auth/bootstrap", json={"admin_api_key": ""})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_admin_key")


async def test_of_parallel_bootstraps_one_wins(client: httpx.AsyncClient) -> None:
    people = [await sign_up(client, f"person{number}") for number in range(5)]
    answers = await asyncio.gather(
        *(
            person.call("POST", "/auth/bootstrap", json={"admin_api_key": ADMIN_API_KEY})
            for person in people
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]


async def promote(root: Person, person: Person, role: str) -> httpx.Response:
    return await root.call("PUT", f"/admin/users/{person.user_id}/role", json={"role": role})


async def test_a_new_role_comes_with_the_next_refresh_and_the_old_token_dies_at_once(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    assert (await promote(root, otto, "ADMIN")).json()["role"] == "ADMIN"
    refused = await otto.call("GET", "/auth/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    await otto.refresh()
    assert (await otto.call("GET", "/admin/users")).status_code == 200


async def test_attack_055_a_dropped_role_ends_admin_access_at_once(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await promote(root, otto, "ADMIN")
    await otto.refresh()
    await promote(root, otto, "USER")
    assert (await otto.call("GET", "/admin/users")).status_code == 401
    await otto.refresh()
    assert (await otto.call("GET", "/admin/users")).status_code == 403


async def test_attack_053_an_admin_gives_no_roles_not_even_to_themselves(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await promote(root, otto, "ADMIN")
    await otto.refresh()
    for target in (root, otto):
        for role in ("USER", "ADMIN", "SUPER_ADMIN"):
            answer = await promote(otto, target, role)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_attack_054_the_last_super_admin_cannot_step_down(client: httpx.AsyncClient) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    answer = await promote(root, root, "USER")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_super_admin")


async def test_attack_124_two_super_admins_who_demote_each_other_at_once_leave_one(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    nina, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await promote(nina, otto, "SUPER_ADMIN")
    await otto.refresh()
    answers = await asyncio.gather(promote(nina, otto, "USER"), promote(otto, nina, "USER"))
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403])
    left = await rows(database, "SELECT id FROM account WHERE role = 'SUPER_ADMIN'")
    assert len(left) == 1


async def test_attack_052_a_user_is_refused_by_every_admin_route(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    for method, path in (
        ("GET", "/admin/users"),
        ("PUT", f"/admin/users/{nina.user_id}/role"),
        ("GET", "/admin/verification/requests"),
        ("POST", "/admin/verification/requests/x/decision"),
        ("GET", "/admin/moderation/actions"),
        ("GET", "/admin/crawler/jobs"),
        ("DELETE", "/admin/crawler/cache"),
    ):
        answer = await nina.call(method, path, json={"role": "ADMIN"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path


async def test_a_role_for_nobody_is_not_found(client: httpx.AsyncClient) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    answer = await root.call("PUT", f"/admin/users/{uuid4()}/role", json={"role": "ADMIN"})
    assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")


async def test_accounts_are_listed_in_pages_without_addresses(client: httpx.AsyncClient) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    others = [(await sign_up(client, f"person{number}")).user_id for number in range(4)]
    first = (await root.call("GET", "/admin/users", params={"limit": 3})).json()
    rest = {"limit": 3, "cursor": first["next_cursor"]}
    second = (await root.call("GET", "/admin/users", params=rest)).json()
    listed = [item["id"] for item in first["items"] + second["items"]]
    assert listed == [*reversed(others), root.user_id]
    assert second["next_cursor"] is None
    assert all(set(item) == {"id", "role", "created_at"} for item in first["items"])


async def test_an_admin_finds_an_account_by_its_address(client: httpx.AsyncClient) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    found = (await root.call("GET", "/admin/users", params={"email": "OTTO@seda.example"})).json()
    assert [item["id"] for item in found["items"]] == [otto.user_id]
    assert "seda.example" not in str(found)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "A" * 500])
async def test_attack_062_a_forged_cursor_is_refused(
    client: httpx.AsyncClient, cursor: str
) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    answer = await root.call("GET", "/admin/users", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
async def test_a_page_size_out_of_bounds_is_refused(client: httpx.AsyncClient, limit: str) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    answer = await root.call("GET", "/admin/users", params={"limit": limit})
    assert answer.status_code == 400


async def rows(database: ServiceDatabase, statement: str, **values: Any) -> list[Any]:
    """Look behind the API, as the service's own role."""
    db = Database(database.app_url, pool_size=1)
    try:
        async with db.begin() as tx:
            return list((await tx.execute(text(statement), values)).all())
    finally:
        await db.close()


async def test_a_change_of_role_ends_no_session_and_names_the_version_of_new_tokens(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await promote(root, otto, "ADMIN")
    again = await promote(root, otto, "ADMIN")
    assert again.json()["role"] == "ADMIN"
    changes = "SELECT payload FROM outbox WHERE subject LIKE '%.role.changed.%' ORDER BY id"
    said = await rows(database, changes)
    events = [msgspec.json.decode(row[0]) for row in said]
    assert [(e["user_id"], e["role"], e["perm_version"]) for e in events] == [
        (root.user_id, "SUPER_ADMIN", 2),
        (otto.user_id, "ADMIN", 2),
    ]
    assert events[1]["changed_by"] == root.user_id
    ended = await rows(database, "SELECT 1 FROM outbox WHERE subject LIKE '%.session.revoked.%'")
    assert ended == []
