"""What each word of the command line does."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from seda_testkit.binaries import ProgramMissing
from seda_testkit.client import ApiError, CommandRefused
from seda_testkit.nats import NatsFailed
from seda_testkit.postgres import PostgresFailed

from seda_devrunner import control, table
from seda_devrunner import seed as seeding
from seda_devrunner.checkout import ROOT, Service, StateFolder
from seda_devrunner.demo import play
from seda_devrunner.lock import AlreadyRunning, is_running, only_runner, read_run, write_run
from seda_devrunner.migrating import MigrationFailed, migrate_all
from seda_devrunner.people import ADMIN, DEMO_PASSWORD, LISTENERS
from seda_devrunner.platform import Platform
from seda_devrunner.supervision import StartFailed
from seda_devrunner.wiring import Wiring

DETACHED_START_SECONDS_MAX = 180.0
STOP_SECONDS_MAX = 60.0
Services = tuple[Service, ...]
EXPECTED = (
    StartFailed,
    MigrationFailed,
    PostgresFailed,
    NatsFailed,
    ProgramMissing,
    AlreadyRunning,
)
"""Failures that are explained by their own message; a stack trace would only hide it."""


def say(line: str) -> None:
    print(line, flush=True)


def up(services: Services, state: StateFolder, *, seed: bool = True) -> int:
    """Run in the foreground until Ctrl-C or `stop`."""
    try:
        with only_runner(state):
            return asyncio.run(_up(services, state, seed=seed))
    except EXPECTED as error:
        say(f"seda: {error}")
        if isinstance(error, AlreadyRunning):
            say("`make status` shows it, `make stop` stops it.")
        return 1


async def _up(services: Services, state: StateFolder, *, seed: bool) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    platform = Platform(services, state, os.environ, say=say)

    async def stop() -> dict[str, bool]:
        stopping.set()
        return {"stopping": True}

    async with control.listening({"status": platform.snapshot, "stop": stop}) as socket:
        starting = asyncio.create_task(_start(platform, state, socket, seed=seed))
        wait_for_stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({starting, wait_for_stop}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await wait_for_stop
            say("stopping")
        finally:
            for task in (starting, wait_for_stop):
                task.cancel()
            await asyncio.gather(starting, wait_for_stop, return_exceptions=True)
            await platform.stop()
    return 0


async def _start(platform: Platform, state: StateFolder, socket: Path, *, seed: bool) -> None:
    wiring = await platform.start()
    facts = {
        "pid": os.getpid(),
        "control": str(socket),
        "gateway_url": wiring.gateway_url,
        "demosites_url": wiring.demosites_url,
        "database_url": platform.servers.admin_url.rpartition("/")[0] + "/seda",
        "nats_url": wiring.nats_url,
        "admin_api_key": wiring.secrets.admin_api_key,
    }
    write_run(state, facts)
    say(f"\nseda.fm is up after {platform.up_seconds:.1f} s\n")
    say(table.render(await platform.snapshot()))
    if seed:
        await _seed(platform, state, wiring)
    say(next_steps(wiring))
    write_run(state, facts | {"ready": True})
    platform.logs.echo = sys.stdout.isatty()


async def _seed(platform: Platform, state: StateFolder, wiring: Wiring) -> None:
    """Demo data is a courtesy: a platform without it still runs, and says what was wrong."""
    try:
        made = await seeding.seed(
            state,
            gateway_url=wiring.gateway_url,
            demosites_url=wiring.demosites_url,
            admin_api_key=wiring.secrets.admin_api_key,
        )
    except (ApiError, AssertionError, httpx.HTTPError) as error:
        say(f"\n  demo data could not be made ({error}); see `make logs`")
    else:
        if made:
            say(f"\n  demo data made, {platform.up_seconds:.1f} s after the start")


def next_steps(wiring: Wiring) -> str:
    names = ", ".join(person.email for person in LISTENERS[:2])
    return (
        f"\n  API docs    {wiring.gateway_url}/api/docs"
        f"\n  demo users  {names}, password {DEMO_PASSWORD}; {ADMIN.email} is the admin"
        f"\n  logs        {wiring.state.logs}"
        "\n  next        make demo plays the main flow and measures it\n"
    )


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


def up_detached(state: StateFolder, arguments: Sequence[str]) -> int:
    """Start a runner with these arguments in a session of its own; return when all is ready."""
    state.make()
    said = state.logs / "runner.log"
    command = [sys.executable, "-m", "seda_devrunner", *arguments]
    with said.open("w") as file:
        runner = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACHED_START_SECONDS_MAX
    while runner.poll() is None and time.monotonic() < deadline:
        if (read_run(state) or {}).get("ready"):
            say(said.read_text().rstrip())
            return 0
        time.sleep(0.1)
    say(said.read_text().rstrip())
    if runner.poll() is None:
        runner.terminate()
    return 1


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
        await migrate_all(state, await platform.start_servers())
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
