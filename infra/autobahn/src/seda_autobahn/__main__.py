"""`python -m seda_autobahn`: run the whole suite, print the table, fail at what is not waived.

Needs what infra/autobahn/install.sh installs; `make autobahn` does both.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import uvloop

from seda_autobahn import verdict
from seda_autobahn.echo import listening

FOLDER = Path(__file__).parents[2]
TOOLS = FOLDER.parents[1] / ".tools/autobahn"
WSTEST = TOOLS / "python2/bin/wstest"
AGENT = "chat-realtime"
CASES = 517
"""Of the pinned suite. A run that ends early must not look good."""
DEFLATED_AGENT = "chat-realtime, deflate on"
DEFLATED_ASKED = [
    f"{group}.{case}"
    for group in (
        *(f"12.{data}" for data in range(1, 6)),
        *(f"13.{offer}" for offer in range(1, 8)),
    )
    for case in (1, 2, 3, 4, 5, 11)
]
DEFLATED_CASES = 72
"""Of the groups about permessage-deflate, which the listener offers only when told to: every way to
offer it, with messages of 16 to 4096 bytes and one in fragments. Each case is a thousand messages,
and the suite takes an hour for the larger ones."""
RUN_SECONDS_MAX = 280


class SuiteFailed(Exception):
    """The suite itself did not run to its end."""


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    waivers = verdict.read_waivers((FOLDER / "waivers.toml").read_text())
    reports: Path = options.reports
    try:
        index = _run_suite(reports, on_asyncio=options.asyncio)
        deflated = _run_suite(reports / "deflate", on_asyncio=options.asyncio, deflate=True)
    except SuiteFailed as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 2
    cases = verdict.read_cases(index)
    print(verdict.table(cases, waivers))
    found = verdict.complaints(cases, waivers, expected=CASES)
    cases = verdict.read_cases(deflated)
    print(f"\n{DEFLATED_AGENT}")
    print(verdict.table(cases, {}))
    found += verdict.complaints(cases, {}, expected=DEFLATED_CASES, may_lack=frozenset())
    print(f"\nEvery case: {reports}/index.html and {reports}/deflate/index.html")
    print("\n".join(["", "NOT GOOD:", *found]) if found else "good: nothing failed")
    return 1 if found else 0


def _run_suite(reports: Path, *, on_asyncio: bool, deflate: bool = False) -> dict[str, Any]:
    """What the suite found, by case number."""
    if not WSTEST.exists():
        raise SuiteFailed("the suite is not installed; `make autobahn` installs it")
    reports.mkdir(parents=True, exist_ok=True)
    index = reports / "index.json"
    index.unlink(missing_ok=True)
    # The loop the product runs on, unless the other one is asked for.
    loop_factory = asyncio.new_event_loop if on_asyncio else uvloop.new_event_loop
    with (
        (reports / "wstest.log").open("wb") as log,
        asyncio.Runner(loop_factory=loop_factory) as loop,
    ):
        loop.run(_ask_everything(reports, log, deflate=deflate))
    if not index.exists():
        raise SuiteFailed(f"it left no report; {reports}/wstest.log says why")
    found: dict[str, Any] = json.loads(index.read_text())[DEFLATED_AGENT if deflate else AGENT]
    return found


async def _ask_everything(reports: Path, log: BinaryIO, *, deflate: bool) -> None:
    """Listen, and let wstest knock once for each case."""
    specification = reports / "fuzzingclient.json"
    async with listening(deflate=deflate) as url:
        wanted = {
            "outdir": str(reports),
            "servers": [{"agent": DEFLATED_AGENT if deflate else AGENT, "url": url}],
            "cases": DEFLATED_ASKED if deflate else ["*"],
        }
        specification.write_text(json.dumps(wanted))
        process = await asyncio.create_subprocess_exec(
            WSTEST, "--mode=fuzzingclient", f"--spec={specification}", stdout=log, stderr=log
        )
        try:
            await asyncio.wait_for(process.wait(), RUN_SECONDS_MAX)
        except TimeoutError:
            raise SuiteFailed(f"not done after {RUN_SECONDS_MAX} s; see {log.name}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m seda_autobahn", description=__doc__)
    parser.add_argument("--asyncio", action="store_true", help="the listener without uvloop")
    parser.add_argument("--reports", type=Path, default=TOOLS / "reports", help="where to write")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
