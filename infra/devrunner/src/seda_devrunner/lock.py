"""One runner per state folder.

The kernel holds the lock for as long as the process lives and drops it however the process ends,
so neither a stale file nor a reused process id can be mistaken for a running platform.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seda_devrunner.checkout import StateFolder


class AlreadyRunning(Exception):
    """Another process runs this folder's platform."""


@contextmanager
def only_runner(state: StateFolder) -> Iterator[None]:
    """Raises AlreadyRunning, naming the process that holds the folder."""
    state.make()
    with state.lock.open("a+") as file:
        if not _try_lock(file.fileno()):
            file.seek(0)
            pid = file.read().strip()
            where = _where(state, pid)
            raise AlreadyRunning(f"the platform already runs here, as process {pid}, {where}")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            state.run.unlink(missing_ok=True)


def is_running(state: StateFolder) -> bool:
    if not state.lock.exists():
        return False
    with state.lock.open("a+") as file:
        return not _try_lock(file.fileno())


def write_run(state: StateFolder, facts: dict[str, Any]) -> None:
    """Replaced whole, so a reader sees all of it or nothing."""
    fresh = state.run.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(facts, indent=2))
    os.replace(fresh, state.run)


def read_run(state: StateFolder) -> dict[str, Any] | None:
    """What the running platform says of itself; None while it starts or when there is none."""
    if not is_running(state):
        return None
    try:
        facts: dict[str, Any] = json.loads(state.run.read_text())
    except FileNotFoundError:
        return None
    return facts


def _where(state: StateFolder, pid: str) -> str:
    """A runner that was killed leaves its facts behind: they count only for who wrote them."""
    try:
        facts = json.loads(state.run.read_text())
    except FileNotFoundError:
        facts = {}
    return f"at {facts['gateway_url']}" if str(facts.get("pid")) == pid else "and is starting"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
