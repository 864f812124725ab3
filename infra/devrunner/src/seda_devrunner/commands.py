"""What is asked of a platform that runs, or of a runner that shall start one: the words that must
answer at once, so nothing here loads what a platform is made of.
"""

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

from seda_devrunner import control, table
from seda_devrunner.checkout import ROOT, StateFolder
from seda_devrunner.lock import AlreadyRunning, is_running, only_runner, read_run

DETACHED_START_SECONDS_MAX = 180.0
STOP_SECONDS_MAX = 60.0


def say(line: str) -> None:
    print(line, flush=True)


def up_detached(state: StateFolder, arguments: Sequence[str]) -> int:
    """Start a runner with these arguments in a session of its own; return when all is ready."""
    try:
        with only_runner(state):
            pass
    except AlreadyRunning as error:
        say(f"seda: {error}")
        return 1
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
