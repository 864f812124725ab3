"""`python -m seda_autobahn`: run the whole suite, print the table, fail at what is not waived.

Needs what infra/autobahn/install.sh installs; `make autobahn` does both.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

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
DEFLATED_GROUPS = [
    *(f"12.{data}" for data in range(1, 6)),
    *(f"13.{offer}" for offer in range(1, 8)),
]
DEFLATED_CASES = 216
"""Of the groups about permessage-deflate, which the listener has only when told to: five kinds of
data, and seven ways to offer it. Each case is a thousand messages, up to 128 KiB long."""
ASKING_MAX = 3
"""As many at once: who asks waits for the listener, and the listener for who asks."""
RUN_SECONDS_MAX = 280
DEFLATED_SECONDS_MAX = 1500

Found = dict[str, Any]
"""What the suite says of each case, by number."""


class SuiteFailed(Exception):
    """The suite itself did not run to its end."""


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    waivers = verdict.read_waivers((FOLDER / "waivers.toml").read_text())
    reports: Path = options.reports
    try:
        if not WSTEST.exists():
            raise SuiteFailed("the suite is not installed; `make autobahn` installs it")
        index = _run_suite(reports, on_asyncio=options.asyncio)
        deflated = _run_deflated(reports / "deflate", on_asyncio=options.asyncio)
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
    print(f"\nEvery case: {reports}/index.html and {reports}/deflate/*/index.html")
    print("\n".join(["", "NOT GOOD:", *found]) if found else "good: nothing failed")
    return 1 if found else 0


def _run_suite(reports: Path, *, on_asyncio: bool) -> Found:
    """What the suite found, by case number, without compression."""

    async def ask() -> Found:
        async with asyncio.timeout(RUN_SECONDS_MAX), listening() as url:
            return await _ask(reports, url, agent=AGENT, cases="*")

    return _run(ask(), on_asyncio=on_asyncio)


def _run_deflated(reports: Path, *, on_asyncio: bool) -> Found:
    """The same of all that agrees on compression, several groups beside each other."""
    asking = asyncio.Semaphore(ASKING_MAX)

    async def ask_group(url: str, group: str) -> Found:
        async with asking:
            return await _ask(reports / group, url, agent=DEFLATED_AGENT, cases=f"{group}.*")

    async def ask() -> Found:
        async with asyncio.timeout(DEFLATED_SECONDS_MAX), listening(deflate=True) as url:
            groups = await asyncio.gather(*(ask_group(url, group) for group in DEFLATED_GROUPS))
        return {id: entry for group in groups for id, entry in group.items()}

    return _run(ask(), on_asyncio=on_asyncio)


def _run(asked: Coroutine[Any, Any, Found], *, on_asyncio: bool) -> Found:
    # The loop the product runs on, unless the other one is asked for.
    loop_factory = asyncio.new_event_loop if on_asyncio else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as loop:
        try:
            return loop.run(asked)
        except TimeoutError:
            raise SuiteFailed("not done in time; wstest.log says how far it came") from None


async def _ask(reports: Path, url: str, *, agent: str, cases: str) -> Found:
    """Let wstest knock once for each case."""
    specification = _specify(reports, url, agent=agent, cases=cases)
    with (reports / "wstest.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            WSTEST, "--mode=fuzzingclient", f"--spec={specification}", stdout=log, stderr=log
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    index = reports / "index.json"
    if not index.exists():
        raise SuiteFailed(f"it left no report; {log.name} says why")
    found: Found = json.loads(index.read_text())[agent]
    return found


def _specify(reports: Path, url: str, *, agent: str, cases: str) -> Path:
    """What wstest is to do, in a folder without the report of an earlier run."""
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "index.json").unlink(missing_ok=True)
    specification = reports / "fuzzingclient.json"
    servers = [{"agent": agent, "url": url}]
    specification.write_text(
        json.dumps({"outdir": str(reports), "servers": servers, "cases": [cases]})
    )
    return specification


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m seda_autobahn", description=__doc__)
    parser.add_argument("--asyncio", action="store_true", help="the listener without uvloop")
    parser.add_argument("--reports", type=Path, default=TOOLS / "reports", help="where to write")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
