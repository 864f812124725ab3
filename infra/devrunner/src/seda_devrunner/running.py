"""The runner itself: one process that starts the platform, answers questions and stops it."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
from seda_contracts.permissions import OPERATOR, OPS
from seda_testkit.binaries import ProgramMissing
from seda_testkit.client import ApiError
from seda_testkit.nats import NatsFailed
from seda_testkit.postgres import PostgresFailed

from seda_devrunner import control, table
from seda_devrunner import seed as seeding
from seda_devrunner.checkout import Service, StateFolder
from seda_devrunner.commands import say
from seda_devrunner.lock import AlreadyRunning, only_runner, write_run
from seda_devrunner.migrating import MigrationFailed
from seda_devrunner.people import ADMIN, DEMO_PASSWORD, LISTENERS
from seda_devrunner.platform import Platform
from seda_devrunner.supervision import StartFailed
from seda_devrunner.wiring import Wiring

EXPECTED = (
    StartFailed,
    MigrationFailed,
    PostgresFailed,
    NatsFailed,
    ProgramMissing,
    AlreadyRunning,
)
"""Failures that are explained by their own message; a stack trace would only hide it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be run, and how."""

    services: tuple[Service, ...]
    state: StateFolder
    seed: bool = True
    wished_ports: bool = True


def up(run: Run) -> int:
    """Run in the foreground until Ctrl-C or `stop`."""
    try:
        with only_runner(run.state):
            return asyncio.run(_up(run))
    except EXPECTED as error:
        say(f"seda: {error}")
        return 1


async def _up(run: Run) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    platform = Platform(run.services, run.state, os.environ, say=say)

    async def stop() -> dict[str, bool]:
        stopping.set()
        return {"stopping": True}

    async with control.listening({"status": platform.snapshot, "stop": stop}) as socket:
        starting = asyncio.create_task(_start(platform, run, socket))
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


async def _start(platform: Platform, run: Run, socket: Path) -> None:
    wiring = await platform.start(wished_ports=run.wished_ports)
    facts = {
        "pid": os.getpid(),
        "control": str(socket),
        "gateway_url": wiring.gateway_url,
        "demosites_url": wiring.demosites_url,
        "database_url": platform.servers.admin_url.rpartition("/")[0] + "/seda",
        "nats_url": wiring.backing.nats_url,
        "nats_seeds": {u: s for u, s in wiring.backing.nkey_seeds.items() if u in (OPS, OPERATOR)},
        "admin_api_key": wiring.backing.secrets.admin_api_key,
    }
    write_run(run.state, facts)
    say(f"\nseda.fm is up after {platform.up_seconds:.1f} s\n")
    say(table.render(await platform.snapshot()))
    if run.seed:
        await _seed(platform, run.state, wiring)
    say(next_steps(wiring))
    write_run(run.state, facts | {"ready": True})
    platform.logs.echo = sys.stdout.isatty()


async def _seed(platform: Platform, state: StateFolder, wiring: Wiring) -> None:
    """Demo data is a courtesy: a platform without it still runs, and says what was wrong."""
    try:
        made = await seeding.seed(
            state,
            gateway_url=wiring.gateway_url,
            demosites_url=wiring.demosites_url,
            admin_api_key=wiring.backing.secrets.admin_api_key,
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
        f"\n  logs        {wiring.backing.state.logs}"
        "\n  next        make demo plays the main flow and measures it\n"
    )
