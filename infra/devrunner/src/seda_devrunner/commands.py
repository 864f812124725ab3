"""What the other words of the command line do to a platform that runs, or to its data."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from seda_db.migrations import draft
from seda_testkit.client import ApiError, CommandRefused

from seda_devrunner import control, table
from seda_devrunner.checkout import Service, StateFolder
from seda_devrunner.demo import play
from seda_devrunner.lock import is_running, only_runner, read_run
from seda_devrunner.migrating import migrate_all
from seda_devrunner.platform import Platform
from seda_devrunner.running import EXPECTED, say, up_detached

STOP_SECONDS_MAX = 60.0
Services = tuple[Service, ...]


def demo(state: StateFolder, up_arguments: Sequence[str]) -> int:
    """Play the main flow on the running platform, or on one started for it. 0 only if all of it
    happened.
    """
    started_here = not is_running(state)
    if started_here and up_detached(state, up_arguments) != 0:
        return 1
    try:
        facts = read_run(state)
        if facts is None or not facts.get("ready"):
            say("the platform is still starting; try again when `make status` shows it ready.")
            return 1
        asyncio.run(play(facts["gateway_url"], facts["demosites_url"], say=say))
    except (ApiError, CommandRefused, AssertionError, OSError, httpx.HTTPError) as error:
        say(f"\nthe main flow broke: {type(error).__name__}: {error}")
        return 1
    finally:
        if started_here:
            stop(state)
    say("\nall of it happened.")
    return 0


def status(state: StateFolder, *, as_json: bool) -> int:
    """0 when everything is ready, 1 when something is not, 3 when nothing runs."""
    try:
        rows = asyncio.run(control.ask(state, "status"))
    except control.NotRunning:
        say("[]" if as_json else "the platform does not run here; `make run` starts it.")
        return 3
    say(json.dumps(rows, indent=2) if as_json else table.render(rows))
    return 0 if all(row["state"] == "ready" for row in rows) else 1


def stop(state: StateFolder) -> int:
    if not is_running(state):
        say("the platform does not run here.")
        return 0
    try:
        asyncio.run(control.ask(state, "stop"))
    except control.NotRunning:
        # Still starting, so not listening yet: its lock names it.
        os.kill(int(state.lock.read_text()), signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while is_running(state):
        if time.monotonic() > deadline:
            say(f"it did not stop within {STOP_SECONDS_MAX:.0f} s")
            return 1
        time.sleep(0.05)
    say("stopped")
    return 0


def reset(state: StateFolder) -> int:
    """Forget all development data: databases, streams, keys, passwords, logs."""
    if stop(state) != 0:
        return 1
    shutil.rmtree(state.path, ignore_errors=True)
    say("all development data is gone; `make run` begins anew.")
    return 0


def migrate(services: Services, state: StateFolder) -> int:
    """Bring the development database up to date without starting any service."""
    if is_running(state):
        say("the platform runs: stop it first, or start it anew, which migrates too.")
        return 1
    try:
        with only_runner(state):
            asyncio.run(_migrate(services, state))
    except EXPECTED as error:
        say(f"seda: {error}")
        return 1
    say("migrated")
    return 0


async def _migrate(services: Services, state: StateFolder) -> None:
    platform = Platform(services, state, os.environ, say=say)
    try:
        await migrate_all(await platform.start_servers())
    finally:
        await platform.stop()


def migration(services: Services, state: StateFolder, name: str, message: str) -> int:
    """Write a service's next migration from what its tables differ by, for a person to read."""
    wanted = next((service for service in services if service.name == name), None)
    if wanted is None:
        say(f"no service {name}. There is: {', '.join(service.name for service in services)}")
        return 1
    if is_running(state):
        say("the platform runs and holds the database: `make stop` first.")
        return 1
    try:
        with only_runner(state):
            path = asyncio.run(_draft(services, state, wanted, message))
    except EXPECTED as error:
        say(f"seda: {error}")
        return 1
    say(f"read it and complete it: {path}" if path else "tables and schema agree; nothing written.")
    return 0


async def _draft(
    services: Services, state: StateFolder, service: Service, message: str
) -> Path | None:
    platform = Platform(services, state, os.environ, say=say)
    try:
        backing = await platform.start_servers()
        await migrate_all(backing)
        owner_url = backing.databases[service.name].owner_url
        # In a thread, because Alembic's environment runs a loop of its own.
        return await asyncio.to_thread(draft, service.package, owner_url, message)
    finally:
        await platform.stop()


def logs(state: StateFolder, name: str, *, follow: bool) -> int:
    """Print a program's log, or all of them merged; `follow` goes on until Ctrl-C."""
    file = state.logs / f"{name}.log"
    if not file.exists():
        known = ", ".join(sorted(found.stem for found in state.logs.glob("*.log")))
        say(f"no log of {name}. There is: {known or 'none yet'}")
        return 1
    try:
        for text in _read(file, follow=follow):
            sys.stdout.write(text)
            sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


def _read(file: Path, *, follow: bool) -> Iterator[str]:
    """The text so far, then what is added; a rotated file is opened again from its start."""
    opened = file.open(errors="replace")
    try:
        while True:
            text = opened.read()
            if text:
                yield text
            elif not follow:
                return
            elif file.exists() and file.stat().st_ino != os.fstat(opened.fileno()).st_ino:
                opened.close()
                opened = file.open(errors="replace")
            else:
                time.sleep(0.2)
    finally:
        opened.close()
