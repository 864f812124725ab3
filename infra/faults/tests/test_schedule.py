"""The short schedules on the real platform."""

import asyncio
from pathlib import Path

import pytest
from seda_faults.nemesis import random_faults
from seda_faults.running import run
from seda_faults.schedules import CALIBRATED, CHAT_CALIBRATED, SERVICES
from seda_faults.stage import prepare

SEED = 4
DRAIN_SECONDS_MAX = 30
"""Other tests run beside this one; that ten are enough is what `make faults` shows."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated servers that do not run, for every run to copy."""
    folder = tmp_path_factory.mktemp("faults") / "prepared"
    asyncio.run(prepare(folder))
    return folder


async def test_what_was_acknowledged_survives_a_broker_away_and_three_kills(
    prepared: Path, tmp_path: Path
) -> None:
    result = await run(
        CALIBRATED,
        prepared,
        tmp_path / "run",
        seed=SEED,
        drain_seconds=DRAIN_SECONDS_MAX,
    )
    verdict = result.verdict
    assert verdict.violations == 0, "\n".join(verdict.reasons)
    assert verdict.acknowledged > 20, "too little was done for the answer to mean anything"
    assert verdict.committed > verdict.acknowledged


async def test_two_processes_of_chat_lose_nothing_leak_nothing_and_show_no_ghosts(
    prepared: Path, tmp_path: Path
) -> None:
    result = await run(
        CHAT_CALIBRATED,
        prepared,
        tmp_path / "run",
        seed=SEED,
        drain_seconds=DRAIN_SECONDS_MAX,
    )
    verdict = result.verdict
    assert verdict.violations == 0, "\n".join(verdict.reasons)
    assert verdict.acknowledged > 15, "too little was done for the answer to mean anything"
    assert (verdict.removals, verdict.departures) == (2, 1)


def test_a_seed_makes_the_same_faults_again_and_another_makes_others() -> None:
    first, again, other = (random_faults(seed, SERVICES, seconds=30) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(fault.at_seconds + fault.seconds < 30 for fault in first)
