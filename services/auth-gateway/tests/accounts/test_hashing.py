"""Argon2id with its parameters, and a queue that says no."""

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, extract_parameters
from auth_gateway.accounts.hashing import HashingBusy, PasswordHashing


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    made = PasswordHashing(workers=1, waiting_max=1)
    yield made
    made.close()


async def test_hashes_are_argon2id_with_19_mib_two_passes_and_one_lane(
    hashing: PasswordHashing,
) -> None:
    stored = await hashing.hash("velvet underground")
    found = extract_parameters(stored)
    assert stored.startswith("$argon2id$")
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19 * 1024, 2, 1)


async def test_only_the_right_password_matches(hashing: PasswordHashing) -> None:
    stored = await hashing.hash("velvet underground")
    assert await hashing.verify("velvet underground", stored)
    assert not await hashing.verify("velvet underground ", stored)
    assert not await hashing.verify("velvet underground", None)
    assert not await hashing.verify("velvet underground", "not a hash")


async def test_a_hash_with_older_parameters_is_outdated(hashing: PasswordHashing) -> None:
    older = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash("velvet")
    assert hashing.is_outdated(older)
    assert not hashing.is_outdated(await hashing.hash("velvet"))


async def test_attack_045_a_flood_is_refused_once_worker_and_queue_are_full(
    hashing: PasswordHashing,
) -> None:
    answers = await asyncio.gather(
        *(hashing.verify("velvet", None) for _ in range(10)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, HashingBusy)]
    assert len(refused) == 8
    assert all(error.retry_after_seconds > 0 for error in refused)
    assert answers.count(False) == 2


async def test_the_queue_admits_again_when_work_is_done(hashing: PasswordHashing) -> None:
    for _ in range(4):
        assert await hashing.verify("velvet", None) is False
