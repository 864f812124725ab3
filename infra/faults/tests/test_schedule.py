"""The short schedule on the real platform."""

from pathlib import Path

import pytest
from seda_faults.nemesis import random_faults
from seda_faults.running import run
from seda_faults.schedules import CALIBRATED, SERVICES
from seda_faults.stage import prepare

pytestmark = pytest.mark.xdist_group("platform")
"""One worker runs what starts the platform: two at once would only slow each other down."""

SEED = 4
DRAIN_SECONDS_MAX = 30
"""Other tests run beside this one; that ten are enough is what `make faults` shows."""


async def test_what_was_acknowledged_survives_a_broker_away_and_three_kills(
    tmp_path: Path,
) -> None:
    await prepare(tmp_path / "prepared")
    result = await run(
        CALIBRATED,
        tmp_path / "prepared",
        tmp_path / "run",
        seed=SEED,
        drain_seconds=DRAIN_SECONDS_MAX,
    )
    verdict = result.verdict
    assert verdict.violations == 0, "\n".join(verdict.reasons)
    assert verdict.acknowledged > 20, "too little was done for the answer to mean anything"
    assert verdict.committed > verdict.acknowledged


def test_a_seed_makes_the_same_faults_again_and_another_makes_others() -> None:
    first, again, other = (random_faults(seed, SERVICES, seconds=30) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(fault.at_seconds + fault.seconds < 30 for fault in first)
