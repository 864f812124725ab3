"""The words of the command line that need the platform itself: its databases, or people on it."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import httpx
from seda_client import Refused, Stopped
from seda_db.migrations import draft
from seda_testkit.client import ApiError

from seda_devrunner.checkout import Service, StateFolder
from seda_devrunner.commands import say, stop, up_detached
from seda_devrunner.demo import play
from seda_devrunner.lock import is_running, only_runner, read_run
from seda_devrunner.migrating import migrate_all
from seda_devrunner.platform import Platform
from seda_devrunner.running import EXPECTED

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
    except (ApiError, Refused, Stopped, AssertionError, OSError, httpx.HTTPError) as error:
        say(f"\nthe main flow broke: {type(error).__name__}: {error}")
        return 1
    finally:
        if started_here:
            stop(state)
    say("\nall of it happened.")
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
