"""Who may be kept out, what it ends, and how they come back."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from auth_gateway.settings import Settings
from seda_db import Database
from seda_testkit.databases import ServiceDatabase
from seda_testkit.eventually import eventually
from sqlalchemy import text

from ..conftest import ADMIN_API_KEY
from ..people import PASSWORD, Person, log_in, refresh, sign_up, super_admin

REASON = {"reason": "spam in six rooms"}


async def suspend(by: Person, whom: Person | UUID, **more: Any) -> httpx.Response:
    user_id = whom.user_id if isinstance(whom, Person) else whom
    return await by.call("POST", f"/admin/users/{user_id}/suspend", json=REASON | more)


async def restore(by: Person, whom: Person) -> httpx.Response:
    return await by.call("POST", f"/admin/users/{whom.user_id}/restore")


async def promote(by: Person, whom: Person, role: str) -> None:
    answer = await by.call("PUT", f"/admin/users/{whom.user_id}/role", json={"role": role})
    assert answer.status_code == 200, answer.text
    await whom.refresh()


async def published(database: ServiceDatabase) -> list[tuple[str, Any]]:
    db = Database(database.app_url, pool_size=1)
    try:
        async with db.read() as tx:
            rows = await tx.execute(text("SELECT subject, payload FROM outbox ORDER BY id"))
            return [(row[0].split(".v1.")[0], msgspec.json.decode(row[1])) for row in rows]
    finally:
        await db.close()


async def test_a_suspended_account_is_out_at_once_and_cannot_come_back(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    second = await log_in(client, "otto")
    answer = await suspend(root, otto)
    assert answer.json() == {"user_id": otto.user_id, "is_suspended": True, "until": None}

    for device in (otto, second):
        assert (await device.call("GET", "/auth/me")).status_code == 401
        assert (await device.call("GET", "/chat/rooms")).status_code == 401
        assert (await device.call("POST", "/realtime/connect")).status_code == 401
        turned = await refresh(client, device.refresh_token)
        assert (turned.status_code, turned.json()["code"]) == (403, "account_suspended")
    body = {"email": otto.email, "password": PASSWORD}
    entered = await client.post("/api/v1/auth/login", json=body)
    assert (entered.status_code, entered.json()["code"]) == (403, "account_suspended")
    assert REASON["reason"] not in entered.text


async def test_without_the_password_nobody_learns_of_a_suspension(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await suspend(root, otto)
    body = {"email": otto.email, "password": "a wrong guess of it"}
    answer = await client.post("/api/v1/auth/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")
    forged = otto.refresh_token[:-4] + "AAAA"
    answer = await refresh(client, forged)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_refresh_token")


async def test_a_restored_account_logs_in_anew_and_nothing_of_before_lives(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await suspend(root, otto)
    answer = await restore(root, otto)
    assert answer.json() == {"user_id": otto.user_id, "is_suspended": False, "until": None}
    assert (await otto.call("GET", "/auth/me")).status_code == 401
    assert (await refresh(client, otto.refresh_token)).json()["code"] == "session_ended"
    again = await log_in(client, "otto")
    assert (await again.call("GET", "/auth/me")).status_code == 200
    assert (await restore(root, otto)).status_code == 200


async def test_a_suspension_with_an_end_ends_by_itself(
    client: httpx.AsyncClient, settings: Any, start: Any
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    until = datetime.now(UTC) + timedelta(hours=1)
    assert (await suspend(root, otto, until=until.isoformat())).status_code == 200
    async with start(settings, now=lambda: until - timedelta(seconds=1)) as early:
        body = {"email": otto.email, "password": PASSWORD}
        answer = await early.post("/api/v1/auth/login", json=body)
        assert answer.json()["code"] == "account_suspended"
    async with start(settings, now=lambda: until) as on_time:
        await log_in(on_time, "otto")


async def test_another_gateway_refuses_within_five_seconds(
    settings: Settings, start: Any, tmp_path: Path
) -> None:
    shared = msgspec.structs.replace(settings, auth_keyset_dir=str(tmp_path / "keys"))
    async with start(shared) as client, start(shared) as other:
        root = await super_admin(client, "nina", ADMIN_API_KEY)
        otto = await sign_up(client, "otto")

        async def status() -> int:
            answer = await other.get("/api/v1/auth/me", headers=otto.headers)
            return int(answer.status_code)

        assert await status() == 200
        await suspend(root, otto)

        async def is_refused() -> bool:
            return await status() == 401

        await eventually(is_refused)


async def test_the_facts_come_in_order_and_say_no_reason(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await suspend(root, otto)
    await restore(root, otto)
    said = [
        (subject.removeprefix("seda.evt."), body)
        for subject, body in await published(database)
        if body["user_id"] == otto.user_id
    ]
    assert [(subject, body.get("perm_version")) for subject, body in said] == [
        ("auth.account.registered", None),
        ("auth.account.suspended", 2),
        ("auth.account.restored", 3),
    ]
    assert REASON["reason"] not in str(said)


async def test_attack_053_nobody_suspends_their_equals_themselves_or_who_stands_above(
    client: httpx.AsyncClient,
) -> None:
    root = await super_admin(client, "nina", ADMIN_API_KEY)
    admin, equal = await sign_up(client, "otto"), await sign_up(client, "paula")
    user = await sign_up(client, "quinn")
    await promote(root, admin, "ADMIN")
    await promote(root, equal, "ADMIN")
    for whom in (root, equal):
        answer = await suspend(admin, whom)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert (await restore(admin, whom)).status_code == 403
    for somebody in (admin, root):
        answer = await suspend(somebody, somebody)
        assert (answer.status_code, answer.json()["code"]) == (409, "cannot_suspend_self")
    assert (await suspend(user, equal)).status_code == 403
    assert (await suspend(admin, user)).status_code == 200
    assert (await suspend(root, admin)).status_code == 200
    answer = await suspend(root, uuid4())
    assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")


async def test_attack_055_an_admin_who_was_suspended_suspends_nobody(
    client: httpx.AsyncClient,
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    await promote(root, otto, "SUPER_ADMIN")
    answers = await asyncio.gather(suspend(root, otto), suspend(otto, root))
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403])


async def test_a_login_at_the_same_moment_leaves_no_session_behind(
    client: httpx.AsyncClient, database: ServiceDatabase
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    body = {"email": otto.email, "password": PASSWORD}

    async def enter() -> httpx.Response:
        return await client.post("/api/v1/auth/login", json=body)

    async def turn() -> httpx.Response:
        return await refresh(client, otto.refresh_token)

    answers = await asyncio.gather(
        enter(), turn(), suspend(root, otto), enter(), turn(), return_exceptions=False
    )
    assert all(answer.status_code in (200, 403) for answer in answers), answers
    db = Database(database.app_url, pool_size=1)
    try:
        async with db.read() as tx:
            query = text("SELECT count(*) FROM session WHERE account_id = :id AND ended_at IS NULL")
            assert await tx.scalar(query, {"id": otto.user_id}) == 0
    finally:
        await db.close()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"reason": "  "}, 422, "invalid_reason"),
        ({"reason": "x" * 501}, 422, "invalid_reason"),
        ({"reason": "a\0b"}, 422, "invalid_reason"),
        ({"until": "2020-01-01T00:00:00Z"}, 422, "invalid_until"),
        ({"until": "2099-01-01T00:00:00"}, 400, "bad_request"),
        ({"perm_version": 9}, 400, "bad_request"),
    ],
)
async def test_an_unsound_suspension_changes_nothing(
    client: httpx.AsyncClient, changes: dict[str, Any], status: int, code: str
) -> None:
    root, otto = await super_admin(client, "nina", ADMIN_API_KEY), await sign_up(client, "otto")
    answer = await suspend(root, otto, **changes)
    assert answer.status_code == status, answer.text
    assert (await otto.call("GET", "/auth/me")).status_code == 200
