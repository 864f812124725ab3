"""Refresh, logout and devices over HTTP, with thieves and impatient tabs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from auth_gateway.settings import Settings
from seda_db import Database
from seda_testkit.clock import HandClock
from seda_testkit.databases import ServiceDatabase
from seda_testkit.eventually import eventually
from sqlalchemy import text

from ..conftest import ADMIN_API_KEY, Running
from ..people import Person, log_in, refresh, sign_up, super_admin


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_refresh_gives_a_new_pair_and_the_session_goes_on(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    answer = (await refresh(client, nina.refresh_token)).json()
    assert answer["user_id"] == nina.user_id
    assert answer["refresh_token"] != nina.refresh_token
    assert answer["access_token"] != nina.access_token


async def test_attack_018_twenty_parallel_refreshes_get_one_successor(
    client: httpx.AsyncClient,
) -> None:
    nina = await sign_up(client)
    answers = await asyncio.gather(*(refresh(client, nina.refresh_token) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_attack_019_a_lost_answer_is_given_again(
    settings: Settings, start: Callable[..., Running]
) -> None:
    clock = HandClock(datetime.now(UTC))
    async with start(settings, now=clock) as client:
        nina = await sign_up(client)
        lost = (await refresh(client, nina.refresh_token)).json()["refresh_token"]
        clock.pass_by(timedelta(hours=1))
        again = (await refresh(client, nina.refresh_token)).json()["refresh_token"]
        assert again == lost
        assert (await refresh(client, again)).status_code == 200


async def test_attack_017_a_replay_after_the_successor_was_used_ends_the_session(
    settings: Settings, start: Callable[..., Running], database: ServiceDatabase
) -> None:
    clock = HandClock(datetime.now(UTC))
    async with start(settings, now=clock) as client:
        nina = await sign_up(client)
        stolen = nina.refresh_token
        await nina.refresh()
        await nina.refresh()
        clock.pass_by(timedelta(seconds=11))
        assert code(await refresh(client, stolen)) == (400, "refresh_token_already_used")
        assert code(await refresh(client, nina.refresh_token)) == (
            400,
            "refresh_token_already_used",
        )
        assert code(await nina.call("GET", "/auth/me")) == (401, "invalid_token")
    ends = await revocations(database)
    assert [end["reason"] for end in ends] == ["refresh_reuse"]


async def test_attack_017_twenty_parallel_replays_end_the_session_once(
    settings: Settings, start: Callable[..., Running], database: ServiceDatabase
) -> None:
    clock = HandClock(datetime.now(UTC))
    async with start(settings, now=clock) as client:
        nina = await sign_up(client)
        stolen = nina.refresh_token
        await nina.refresh()
        await nina.refresh()
        clock.pass_by(timedelta(seconds=11))
        answers = await asyncio.gather(*(refresh(client, stolen) for _ in range(20)))
    assert {code(answer) for answer in answers} == {(400, "refresh_token_already_used")}
    assert len(await revocations(database)) == 1


async def test_impatient_tabs_within_ten_seconds_harm_nobody(
    settings: Settings, start: Callable[..., Running]
) -> None:
    clock = HandClock(datetime.now(UTC))
    async with start(settings, now=clock) as client:
        nina = await sign_up(client)
        first = nina.refresh_token
        await nina.refresh()
        await nina.refresh()
        clock.pass_by(timedelta(seconds=10))
        late = await refresh(client, first)
        assert late.json()["refresh_token"] == nina.refresh_token


@pytest.mark.parametrize("change", ["ahead", "mac", "session", "garbage", "access_token"])
async def test_attack_020_an_altered_refresh_token_is_refused_and_ends_nothing(
    client: httpx.AsyncClient, change: str
) -> None:
    nina, otto = await sign_up(client, "nina"), await sign_up(client, "otto")
    version, session, counter, mac = nina.refresh_token.split(".")
    other = otto.refresh_token.split(".")[1]
    spelled = {
        "ahead": f"{version}.{session}.{int(counter) + 1}.{mac}",
        "mac": f"{version}.{session}.{counter}.{mac[::-1]}",
        "session": f"{version}.{other}.{counter}.{mac}",
        "garbage": "v1.x.y.z",
        "access_token": nina.access_token,
    }[change]
    assert code(await refresh(client, spelled)) == (400, "invalid_refresh_token")
    for person in (nina, otto):
        await person.refresh()


@pytest.mark.parametrize(("times", "days"), [(1, 14), (8, 12)])
async def test_attack_021_a_session_ends_unused_for_two_weeks_or_after_three_months(
    settings: Settings, start: Callable[..., Running], times: int, days: int
) -> None:
    clock = HandClock(datetime.now(UTC))
    async with start(settings, now=clock) as client:
        nina = await sign_up(client)
        for _ in range(times - 1):
            clock.pass_by(timedelta(days=days))
            await nina.refresh()
        clock.pass_by(timedelta(days=days))
        assert code(await refresh(client, nina.refresh_token)) == (400, "session_expired")


async def test_attack_022_logout_ends_exactly_this_session(client: httpx.AsyncClient) -> None:
    phone = await sign_up(client)
    laptop = await log_in(client)
    assert (await phone.call("POST", "/auth/logout")).status_code == 204
    assert code(await phone.call("GET", "/auth/me")) == (401, "invalid_token")
    assert code(await refresh(client, phone.refresh_token)) == (400, "session_ended")
    assert (await laptop.call("GET", "/auth/me")).status_code == 200
    await laptop.refresh()


async def test_attack_023_a_login_starts_a_session_of_its_own(client: httpx.AsyncClient) -> None:
    phone = await sign_up(client)
    laptop = await log_in(client)
    assert session_of(phone) != session_of(laptop)


async def test_a_person_sees_their_devices_and_which_one_this_is(
    client: httpx.AsyncClient,
) -> None:
    phone = await sign_up(client)
    laptop = await log_in(client)
    items = (await laptop.call("GET", "/auth/sessions")).json()["items"]
    assert [(item["id"], item["is_current"]) for item in items] == [
        (session_of(laptop), True),
        (session_of(phone), False),
    ]


async def test_a_person_ends_another_of_their_devices(client: httpx.AsyncClient) -> None:
    phone = await sign_up(client)
    laptop = await log_in(client)
    ended = await laptop.call("DELETE", f"/auth/sessions/{session_of(phone)}")
    assert ended.status_code == 204
    assert (await phone.call("GET", "/auth/me")).status_code == 401
    assert (await laptop.call("GET", "/auth/me")).status_code == 200


async def test_attack_056_the_session_of_another_person_looks_like_none(
    client: httpx.AsyncClient,
) -> None:
    nina, otto = await sign_up(client, "nina"), await sign_up(client, "otto")
    for target in (session_of(nina), "0197b1b0-0000-7000-8000-000000000000"):
        answer = await otto.call("DELETE", f"/auth/sessions/{target}")
        assert code(answer) == (404, "session_not_found")
    assert (await nina.call("GET", "/auth/me")).status_code == 200


async def test_the_twenty_first_session_ends_the_oldest(
    settings: Settings, start: Callable[..., Running]
) -> None:
    few = msgspec.structs.replace(settings, sessions_per_account_max=2)
    async with start(few) as client:
        people = [await sign_up(client), await log_in(client), await log_in(client)]
        codes = [(await refresh(client, person.refresh_token)).status_code for person in people]
    assert codes == [400, 200, 200]


async def test_attack_016_what_one_gateway_ended_another_refuses_within_five_seconds(
    settings: Settings, start: Callable[..., Running], tmp_path: Any
) -> None:
    shared = msgspec.structs.replace(settings, auth_keyset_dir=str(tmp_path / "keys"))
    async with start(shared) as one, start(shared) as other:
        nina = await sign_up(one)

        async def seen_by_other() -> int:
            answer = await other.get("/api/v1/auth/me", headers=nina.headers)
            return answer.status_code

        assert await seen_by_other() == 200
        await nina.call("POST", "/auth/logout")

        async def refused() -> bool:
            return await seen_by_other() == 401

        await eventually(refused)


async def test_attack_055_a_role_dropped_at_one_gateway_is_gone_at_another_within_five_seconds(
    settings: Settings, start: Callable[..., Running], tmp_path: Any
) -> None:
    shared = msgspec.structs.replace(settings, auth_keyset_dir=str(tmp_path / "keys"))
    async with start(shared) as one, start(shared) as other:
        root, otto = await super_admin(one, "nina", ADMIN_API_KEY), await sign_up(one, "otto")
        path = f"/admin/users/{otto.user_id}/role"
        await root.call("PUT", path, json={"role": "ADMIN"})
        await otto.refresh()

        async def at_other() -> int:
            answer = await other.get("/api/v1/admin/crawler/jobs", headers=otto.headers)
            return answer.status_code

        assert await at_other() == 200
        await root.call("PUT", path, json={"role": "USER"})

        async def refused() -> bool:
            return await at_other() == 401

        await eventually(refused)


async def test_a_restarted_gateway_still_refuses_what_was_ended(
    settings: Settings, start: Callable[..., Running], tmp_path: Any, database: ServiceDatabase
) -> None:
    kept = msgspec.structs.replace(settings, auth_keyset_dir=str(tmp_path / "keys"))
    async with start(kept) as client:
        nina = await sign_up(client)
        await nina.call("POST", "/auth/logout")
        await eventually(lambda: published(database))
    async with start(kept) as client:

        async def refused() -> bool:
            return (await client.get("/api/v1/auth/me", headers=nina.headers)).status_code == 401

        await eventually(refused)


def session_of(person: Person) -> str:
    """The session a refresh token names, spelled as the API spells ids."""
    spelled = person.refresh_token.split(".")[1]
    return "-".join((spelled[:8], spelled[8:12], spelled[12:16], spelled[16:20], spelled[20:]))


async def revocations(database: ServiceDatabase) -> list[dict[str, Any]]:
    db = Database(database.app_url, pool_size=1)
    try:
        async with db.begin() as tx:
            statement = text(
                "SELECT payload FROM outbox WHERE subject LIKE '%session.revoked%' ORDER BY id"
            )
            return [msgspec.json.decode(row[0]) for row in await tx.execute(statement)]
    finally:
        await db.close()


async def published(database: ServiceDatabase) -> bool:
    """Everything that was said has left the outbox."""
    db = Database(database.app_url, pool_size=1)
    try:
        async with db.begin() as tx:
            statement = text("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            return await tx.scalar(statement) == 0
    finally:
        await db.close()
