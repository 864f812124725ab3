"""Bots and their keys: what a key opens, what it never opens, and when it stops."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import msgspec
import pytest
from auth_gateway.bots.domain import InvalidKey, parse_key
from auth_gateway.bots.keys import BELIEVED_SECONDS
from auth_gateway.settings import Settings
from seda_db import Database
from seda_testkit.databases import ServiceDatabase
from sqlalchemy import text

from ..conftest import ADMIN_API_KEY
from ..people import Person, sign_up, super_admin
from ..upstream import Upstream

SCOPES = ["message:read", "message:write", "realtime:connect"]


async def make_bot(owner: Person, name: str = "Now Playing") -> str:
    answer = await owner.call("POST", "/bots", json={"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def make_key(owner: Person, bot: str, **changes: Any) -> dict[str, Any]:
    body = {"name": "server", "scopes": SCOPES} | changes
    answer = await owner.call("POST", f"/bots/{bot}/keys", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def ask(
    client: httpx.AsyncClient, key: str, method: str = "GET", path: str = "/chat/rooms"
) -> tuple[int, str]:
    headers = {"authorization": f"Bearer {key}"}
    answer = await client.request(method, f"/api/v1{path}", headers=headers)
    return answer.status_code, str(answer.json().get("code", ""))


def passport(upstream: Upstream) -> dict[str, Any]:
    token = upstream.seen[-1].header("x-seda-identity")
    assert token is not None
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def test_a_key_acts_as_the_bot_with_its_scopes(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    bot = await make_bot(nina)
    made = await make_key(nina, bot)
    for headers in ({"authorization": f"Bearer {made['key']}"}, {"x-api-key": made["key"]}):
        answer = await client.get("/api/v1/chat/rooms", headers=headers)
        assert answer.status_code == 200
        claims = passport(upstream)
        assert (claims["sub"], claims["sid"], claims["role"]) == (bot, made["id"], "USER")
        assert claims["scope"] == " ".join(sorted(SCOPES))
        assert made["key"] not in str(upstream.seen[-1].headers)
    answer = await client.post("/api/v1/realtime/connect", headers={"x-api-key": made["key"]})
    ticket = jwt.decode(answer.json()["ticket"], options={"verify_signature": False})
    assert (ticket["sub"], ticket["sid"]) == (bot, made["id"])
    assert ticket["scope"] == claims["scope"]


async def test_a_key_is_shown_once_and_its_secret_is_not_kept(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    bot = await make_bot(nina)
    made = await make_key(nina, bot)
    await ask(client, made["key"])
    listed = await nina.call("GET", f"/bots/{bot}/keys")
    (item,) = listed.json()["items"]
    assert parse_key(made["key"]).secret not in listed.text
    assert item["last_used_on"] == datetime.now(UTC).date().isoformat()
    assert item["scopes"] == sorted(SCOPES)


async def test_attack_066_a_wrong_unknown_or_misplaced_key_opens_nothing(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    nina = await sign_up(client)
    made = await make_key(nina, await make_bot(nina))
    key, other = made["key"], (await make_key(nina, await make_bot(nina, "Other")))["key"]
    secret = parse_key(key).secret
    stem = key.removesuffix(f"_{secret}")
    for wrong in (
        f"{stem}_{'A' * 43}",
        f"{stem}_{parse_key(other).secret}",
        f"seda_{uuid4().hex}_{secret}",
        key[:-1],
        key + "A",
        key.upper(),
        f"{stem}_",
        "seda_",
    ):
        assert await ask(client, wrong) == (401, "invalid_token"), wrong
    for query in ("api_key", "x-api-key", "key", "token", "apikey"):
        answer = await client.get(f"/api/v1/chat/rooms?{query}={key}")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    both = {"authorization": f"Bearer {key}", "x-api-key": key}
    assert (await client.get("/api/v1/chat/rooms", headers=both)).status_code == 401
    person = {"x-api-key": nina.access_token}
    assert (await client.get("/api/v1/chat/rooms", headers=person)).status_code == 401
    assert upstream.connections == 0


async def test_attack_066_made_up_keys_are_refused_before_the_database_is_asked(
    settings: Settings, start: Any, database: ServiceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address has spent its allowance, and a look at a locked table would not come back."""
    monkeypatch.setattr("auth_gateway.bots.keys.BELIEVED_SECONDS", 0)
    monkeypatch.setattr("auth_gateway.bots.keys.KEYS_KEPT_MAX", 1)
    few = msgspec.structs.replace(settings, rate_limit_default_requests_max=6)
    db = Database(database.app_url, pool_size=1)
    try:
        async with start(few) as client:
            nina = await sign_up(client)
            made = await make_key(nina, await make_bot(nina))
            assert (await ask(client, made["key"]))[0] == 200
            secret = parse_key(made["key"]).secret
            strangers = [f"seda_{uuid4().hex}_{secret}" for _ in range(20)]
            answers = await asyncio.gather(*(ask(client, key) for key in strangers))
            assert set(answers) == {(401, "invalid_token"), (429, "rate_limited")}
            assert answers.count((401, "invalid_token")) <= 6
            async with db.begin() as tx:
                await tx.execute(text("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE"))
                wrong_secret = made["key"].removesuffix(secret) + "A" * 43
                for key in (f"seda_{uuid4().hex}_{secret}", wrong_secret):
                    refused = await asyncio.wait_for(
                        client.get("/api/v1/chat/rooms", headers={"x-api-key": key}), 10
                    )
                    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
                    assert int(refused.headers["retry-after"]) >= 1
            # The strangers have not pushed it out of a memory for one, and the bot has an
            # allowance of its own: it is let through, though it has to be looked up anew.
            assert (await ask(client, made["key"]))[0] == 200
    finally:
        await db.close()


async def test_attack_066_a_revoked_key_stops_at_once_and_a_deleted_bot_with_all_keys(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    bot = await make_bot(nina)
    first, second = await make_key(nina, bot), await make_key(nina, bot)
    assert (await ask(client, first["key"]))[0] == (await ask(client, second["key"]))[0] == 200
    assert (await nina.call("DELETE", f"/bots/{bot}/keys/{first['id']}")).status_code == 204
    assert await ask(client, first["key"]) == (401, "invalid_token")
    assert (await ask(client, second["key"]))[0] == 200
    assert (await nina.call("DELETE", f"/bots/{bot}/keys/{first['id']}")).status_code == 404
    assert (await nina.call("DELETE", f"/bots/{bot}")).status_code == 204
    assert await ask(client, second["key"]) == (401, "invalid_token")
    assert (await nina.call("GET", "/bots")).json()["items"] == []


async def test_attack_066_a_key_past_its_end_opens_nothing(
    client: httpx.AsyncClient, settings: Settings, start: Any
) -> None:
    nina = await sign_up(client)
    until = datetime.now(UTC) + timedelta(hours=1)
    made = await make_key(nina, await make_bot(nina), expires_at=until.isoformat())
    async with start(settings, now=lambda: until - timedelta(seconds=1)) as early:
        assert (await ask(early, made["key"]))[0] == 200
    async with start(settings, now=lambda: until) as late:
        assert await ask(late, made["key"]) == (401, "invalid_token")


async def test_attack_066_a_key_never_opens_what_is_for_people(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    bot = await make_bot(nina)
    made = await make_key(nina, bot, scopes=["message:read"])
    for method, path in (
        ("GET", "/auth/me"),
        ("GET", "/auth/sessions"),
        ("POST", "/auth/logout"),
        ("GET", "/bots"),
        ("POST", "/bots"),
        ("POST", f"/bots/{bot}/keys"),
        ("DELETE", f"/bots/{bot}"),
        ("POST", "/realtime/connect"),
    ):
        assert await ask(client, made["key"], method, path) == (403, "insufficient_scope"), path
    for path in ("/admin/users", "/admin/moderation/actions", "/admin/verification/requests"):
        assert (await ask(client, made["key"], path=path))[0] == 403, path


async def test_attack_056_the_bots_of_others_are_no_bots(client: httpx.AsyncClient) -> None:
    nina, eve = await sign_up(client), await sign_up(client, "eve")
    bot = await make_bot(nina)
    made = await make_key(nina, bot)
    body = {"name": "mine", "scopes": SCOPES}
    for where in (bot, str(uuid4())):
        for method, path in (
            ("DELETE", f"/bots/{where}"),
            ("GET", f"/bots/{where}/keys"),
            ("DELETE", f"/bots/{where}/keys/{made['id']}"),
        ):
            answer = await eve.call(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "bot_not_found")
        assert (await eve.call("POST", f"/bots/{where}/keys", json=body)).status_code == 404
    assert (await ask(client, made["key"]))[0] == 200


async def test_a_suspended_owner_takes_the_bots_along_and_brings_them_back(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    made = await make_key(otto, await make_bot(otto))
    assert (await ask(client, made["key"]))[0] == 200
    body = {"reason": "spam"}
    await root.call("POST", f"/admin/users/{otto.user_id}/suspend", json=body)
    assert await ask_until(client, made["key"], 401) == 401
    await root.call("POST", f"/admin/users/{otto.user_id}/restore")
    assert await ask_until(client, made["key"], 200) == 200


async def suspend(by: Person, user_id: str, **more: Any) -> httpx.Response:
    body = {"reason": "spam"} | more
    return await by.call("POST", f"/admin/users/{user_id}/suspend", json=body)


async def restore(by: Person, user_id: str) -> httpx.Response:
    return await by.call("POST", f"/admin/users/{user_id}/restore")


async def test_a_suspended_bot_is_out_at_once_alone_and_comes_back(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    bot, other = await make_bot(otto), await make_bot(otto, "Other")
    key, others = (await make_key(otto, bot))["key"], (await make_key(otto, other))["key"]
    assert (await ask(client, key))[0] == (await ask(client, others))[0] == 200
    answer = await suspend(root, bot)
    assert answer.json() == {"user_id": bot, "is_suspended": True, "until": None}
    assert await ask(client, key) == (401, "invalid_token")
    assert await ask(client, (await make_key(otto, bot))["key"]) == (401, "invalid_token")
    assert (await ask(client, others))[0] == (await otto.call("GET", "/auth/me")).status_code == 200
    listed = (await otto.call("GET", "/bots")).json()["items"]
    assert [(each["id"], each["is_suspended"]) for each in listed] == [(bot, True), (other, False)]
    assert (await restore(root, bot)).json()["is_suspended"] is False
    assert (await ask(client, key))[0] == 200
    assert await facts_of(database, bot) == [("suspended", 2, None), ("restored", 3, None)]


async def test_a_bot_suspended_alone_and_with_its_owner_stays_out_until_the_later_end(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    bot = await make_bot(otto)
    key = (await make_key(otto, bot))["key"]
    soon, late = (
        (datetime.now(UTC) + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
        for hours in (1, 2)
    )
    await suspend(root, bot, until=soon)
    await suspend(root, otto.user_id, until=late)
    await restore(root, bot)
    assert await ask(client, key) == (401, "invalid_token")
    await suspend(root, bot)
    await restore(root, otto.user_id)
    assert await ask(client, key) == (401, "invalid_token")
    await restore(root, bot)
    assert (await ask(client, key))[0] == 200
    assert await facts_of(database, bot) == [
        ("suspended", 2, soon),
        ("suspended", 3, late),
        ("suspended", 4, late),
        ("suspended", 5, None),
        ("suspended", 6, None),
        ("restored", 7, None),
    ]


async def test_a_suspended_bot_comes_back_by_itself_at_the_end(
    client: httpx.AsyncClient, settings: Settings, start: Any
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    bot = await make_bot(otto)
    key = (await make_key(otto, bot))["key"]
    until = datetime.now(UTC) + timedelta(hours=1)
    await suspend(root, bot, until=until.isoformat())
    async with start(settings, now=lambda: until - timedelta(seconds=1)) as early:
        assert await ask(early, key) == (401, "invalid_token")
    async with start(settings, now=lambda: until) as on_time:
        assert (await ask(on_time, key))[0] == 200


async def test_attack_053_who_may_suspend_people_suspends_bots_and_nobody_else_does(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    admin, eve = await sign_up(client, "paula"), await sign_up(client, "eve")
    body = {"role": "ADMIN"}
    await root.call("PUT", f"/admin/users/{admin.user_id}/role", json=body)
    await admin.refresh()
    bot, roots = await make_bot(otto), await make_bot(root)
    key = (await make_key(otto, bot))["key"]
    for somebody in (otto, eve):
        assert (await suspend(somebody, bot)).status_code == 403
    assert (await ask(client, key, "POST", f"/admin/users/{bot}/suspend"))[0] == 403
    for each in (bot, roots):
        assert (await suspend(admin, each)).status_code == 200
        assert (await restore(admin, each)).status_code == 200
    await otto.call("DELETE", f"/bots/{bot}")
    answer = await suspend(admin, bot)
    assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")


async def facts_of(database: ServiceDatabase, user_id: str) -> list[tuple[str, int, str | None]]:
    """How others were told that a user stands, in order."""
    db = Database(database.app_url, pool_size=1)
    try:
        async with db.read() as tx:
            rows = await tx.execute(text("SELECT subject, payload FROM outbox ORDER BY id"))
            said = [(subject, msgspec.json.decode(payload)) for subject, payload in rows]
    finally:
        await db.close()
    return [
        (subject.split(".")[4], body["perm_version"], body.get("until"))
        for subject, body in said
        if subject.startswith("seda.evt.auth.account.") and body["user_id"] == user_id
    ]


async def ask_until(client: httpx.AsyncClient, key: str, status: int) -> int:
    from seda_testkit.eventually import eventually

    async def is_so() -> bool:
        return (await ask(client, key))[0] == status

    await eventually(is_so, timeout_seconds=BELIEVED_SECONDS + 3)
    return status


async def test_limits_and_unsound_wishes_make_nothing(client: httpx.AsyncClient) -> None:
    nina = await sign_up(client)
    bots = [await make_bot(nina, f"Bot {number}") for number in range(10)]
    answer = await nina.call("POST", "/bots", json={"name": "One more"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_bots")
    for changes, status in (
        ({"scopes": []}, 400),
        ({"scopes": ["account:suspend"]}, 422),
        ({"scopes": ["bot:manage"]}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"secret": "mine"}, 400),
        ({"name": ""}, 400),
    ):
        body = {"name": "server", "scopes": SCOPES} | changes
        refused = await nina.call("POST", f"/bots/{bots[0]}/keys", json=body)
        assert refused.status_code == status, changes
    for _ in range(10):
        await make_key(nina, bots[0])
    body = {"name": "server", "scopes": SCOPES}
    answer = await nina.call("POST", f"/bots/{bots[0]}/keys", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_keys")


@pytest.mark.parametrize("text", ["", "seda_x_y", "seda_" + "0" * 32 + "_" + "A" * 42 + "\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        parse_key(text)
