"""A mutant that changes nothing would prove nothing: each finds what it replaces, or says so."""

import asyncio
import os
import sys

from seda_faults.mutants import MUTANTS, MUTATED
from seda_faults.schedules import TRIALS
from seda_faults.stage import HOOK_FOLDER


async def python_as(mutant: str, code: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        env=os.environ | {"SEDA_MUTANT": mutant, "PYTHONPATH": str(HOOK_FOLDER)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_every_mutant_is_made_in_a_process_that_is_asked_for_it() -> None:
    answers = await asyncio.gather(*(python_as(mutant, "pass") for mutant in MUTANTS))
    for mutant, (status, said) in zip(MUTANTS, answers, strict=True):
        assert status == 0, said
        assert f"{MUTATED} {mutant}" in said


async def test_a_process_whose_mutant_cannot_be_made_does_not_run() -> None:
    status, said = await python_as("no_such", "print('it ran')")
    assert status == 70
    assert "could not be made" in said
    assert "it ran" not in said


def test_every_mutant_has_a_schedule_that_must_catch_it() -> None:
    assert sorted(str(trial.mutant) for trial in TRIALS) == sorted(MUTANTS)
