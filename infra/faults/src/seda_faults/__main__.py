"""`python -m seda_faults`: the correct program under every schedule, then the mutants."""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from seda_faults import report
from seda_faults.running import DRAIN_SECONDS, Result, run
from seda_faults.schedules import TRIALS, Trial, correct_scripts, random_script
from seda_faults.stage import prepare

SOAK_SCRIPT_SECONDS = 60.0


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed} (--seed {seed} does the same again)", flush=True)
    results = asyncio.run(_play(_programme(options, seed), seed, options))
    print("\n" + report.table(results))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(results), indent=2) + "\n")
    wrong = [result for result in results if not report.is_right(result)]
    for result in wrong:
        print(
            f"\n{result.mutant or 'correct'} under {result.script.name}:",
            *_what(result),
            sep="\n  ",
        )
    return 1 if wrong else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="seda_faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the random schedule and of what people do")
    parser.add_argument(
        "--only", default="", help="schedules and mutants whose name begins like this"
    )
    parser.add_argument("--soak", type=int, default=0, metavar="RUNS", help="random schedules only")
    parser.add_argument("--drain-seconds", type=float, default=DRAIN_SECONDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(arguments)


def _programme(options: argparse.Namespace, seed: int) -> list[Trial]:
    """The correct program, which is no mutant, under each schedule; then every mutant."""
    if options.soak:
        scripts = [
            random_script(seed + number, seconds=SOAK_SCRIPT_SECONDS)
            for number in range(options.soak)
        ]
        return [Trial(None, script) for script in scripts]
    all_trials = [*(Trial(None, script) for script in correct_scripts(seed)), *TRIALS]
    chosen = [trial for trial in all_trials if _name(trial).startswith(options.only)]
    if not chosen:
        sys.exit(f"no schedule and no mutant begins with {options.only!r}")
    return chosen


async def _play(trials: list[Trial], seed: int, options: argparse.Namespace) -> list[Result]:
    """One after the other, each on servers of its own."""
    folder = Path(tempfile.mkdtemp(prefix="seda-faults-"))
    prepared = folder / "prepared"
    try:
        await prepare(prepared)
        return [
            await _play_one(trial, prepared, folder / f"{number}-{_name(trial)}", seed, options)
            for number, trial in enumerate(trials)
        ]
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
        with suppress(OSError):
            os.rmdir(folder)  # unless something is left in it


async def _play_one(
    trial: Trial, prepared: Path, folder: Path, seed: int, options: argparse.Namespace
) -> Result:
    """The folder of a run that went wrong stays, with logs and data, and is named."""
    say = print if options.verbose else lambda _: None
    for deed in (*trial.script.faults, *trial.script.kicks):
        say(f"    {deed}")
    result = await run(
        trial.script,
        prepared,
        folder,
        seed=seed,
        mutant=trial.mutant,
        drain_seconds=options.drain_seconds,
        say=say,
    )
    for line in result.verdict.reasons:
        say(f"    {line}")
    sign = "ok  " if report.is_right(result) else "BAD "
    print(
        f"{sign} {trial.mutant or 'correct'} under {trial.script.name}: "
        f"{result.verdict.violations} violations, {result.seconds:.0f} s",
        flush=True,
    )
    if report.is_right(result):
        shutil.rmtree(folder)
    else:
        print(f"     what is left of it: {folder}", flush=True)
    return result


def _name(trial: Trial) -> str:
    return trial.mutant or trial.script.name


def _what(result: Result) -> list[str]:
    if result.mutant is not None:
        return ["no violation: the suite cannot tell it from the correct program"]
    return result.verdict.reasons


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
