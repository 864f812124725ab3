"""Blocks: a private set, told to who must know and to nobody else."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from seda_db import Database
from sqlalchemy import text
from user_artist.blocks import operations

Calling = Callable[..., Any]
Register = Callable[..., Any]


async def listed(caller: Any) -> list[str]:
    answer = await caller("GET", "/users/me/blocks")
    return [each["user_id"] for each in answer.json()["items"]]


async def told(db: Database) -> list[tuple[bool, int]]:
    async with db.read() as tx:
        rows = await tx.execute(
            text(
                "SELECT convert_from(payload, 'UTF8')::json AS event FROM user_artist.outbox"
                " WHERE subject LIKE 'seda.evt.user.block.changed.v1.%' ORDER BY id"
            )
        )
        return [(row.event["is_blocked"], row.event["version"]) for row in rows]


async def test_a_block_is_a_set_and_each_change_is_told_once_with_a_rising_version(
    db: Database, calling: Calling, register: Register
) -> None:
    ada, eve = await register("Ada"), await register("Eve")
    caller = calling(user_id=ada)
    for method in ("PUT", "PUT", "DELETE", "DELETE", "PUT"):
        assert (await caller(method, f"/users/me/blocks/{eve}")).status_code == 204
    assert await listed(caller) == [str(eve)]
    assert await listed(calling(user_id=eve)) == []
    assert await told(db) == [(True, 1), (False, 2), (True, 3)]


@pytest.mark.parametrize(("whom", "status"), [("self", 422), ("nobody", 404)])
async def test_oneself_and_nobody_cannot_be_blocked(
    db: Database, calling: Calling, register: Register, whom: str, status: int
) -> None:
    ada: UUID = await register("Ada")
    blocked = ada if whom == "self" else uuid4()
    answer = await calling(user_id=ada)("PUT", f"/users/me/blocks/{blocked}")
    assert answer.status_code == status
    assert await told(db) == []


async def test_the_list_has_a_limit_and_pages(
    calling: Calling, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "BLOCKS_MAX", 2)
    ada = await register("Ada")
    others = sorted([str(await register(f"Other {number}")) for number in range(3)])
    caller = calling(user_id=ada)
    statuses = [(await caller("PUT", f"/users/me/blocks/{other}")).status_code for other in others]
    assert statuses == [204, 204, 409]
    page = (await caller("GET", "/users/me/blocks?limit=1")).json()
    rest = await caller("GET", f"/users/me/blocks?limit=5&cursor={page['next_cursor']}")
    found = [each["user_id"] for each in (*page["items"], *rest.json()["items"])]
    assert found == others[:2]


async def test_nobody_without_a_name_has_a_list(calling: Calling) -> None:
    assert (await calling()("GET", "/users/me/blocks")).status_code == 401
