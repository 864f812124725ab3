"""Keep one program running: start, wait until it is ready, start again with back-off, stop."""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import httpx
from seda_testkit import child

from seda_devrunner.checkout import ROOT
from seda_devrunner.logbook import LogBook

START_SECONDS_MAX = 60.0
STOP_GRACE_SECONDS = 20.0
RESTART_DELAYS_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0)
CRASH_LOOP_EXITS = 5
CRASH_LOOP_SECONDS = 60.0
PROBE_EVERY_SECONDS = 0.1

State = Literal["starting", "ready", "waiting", "crash-loop", "stopped"]


class StartFailed(Exception):
    """A program ended or did not become ready; the message ends with what it said last."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: a Python module of this environment, and where it says that it is ready."""

    name: str
    arguments: tuple[str, ...]
    url: str
    ready_url: str
    env: dict[str, str] = field(default_factory=dict)
    ready_host: str | None = None
    """The Host header of the question, for a program that serves several names."""

    def command(self) -> list[str]:
        """Dies with the runner, even when that is killed outright."""
        return child.wrap([sys.executable, *self.arguments], death_signal=signal.SIGTERM)


class Supervised:
    """One running program and its history.

    `gives_up` is for programs that may be at fault themselves. Whoever ends them on purpose wants
    them back at once, however often.
    """

    def __init__(self, program: Program, logs: LogBook, *, gives_up: bool = True) -> None:
        self.program = program
        self._gives_up = gives_up
        self.state: State = "starting"
        self.restarts = 0
        self._logs = logs
        self._process: asyncio.subprocess.Process | None = None
        self._exits: deque[float] = deque(maxlen=CRASH_LOOP_EXITS)
        self._task: asyncio.Task[None] | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    async def start(self) -> None:
        """Raises StartFailed when the first start does not work; later ones are tried again."""
        self._process = await self._launch()
        await self._until_ready(self._process)
        self._task = asyncio.create_task(self._keep_running(self._process))

    async def is_ready(self) -> bool:
        host = self.program.ready_host
        headers = {"Host": host} if host else {}
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                answer = await client.get(self.program.ready_url, headers=headers)
                return answer.status_code == 200
        except httpx.HTTPError:
            return False

    def ask_to_stop(self) -> None:
        """The first half of stopping, so that all programs can use the grace at the same time."""
        self.state = "stopped"
        if self._task is not None:
            self._task.cancel()
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    async def stop(self) -> None:
        """Ask, wait for the grace, then kill the whole group."""
        self.ask_to_stop()
        if self._process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_GRACE_SECONDS)
            self._kill_group(self._process.pid)
            await self._process.wait()
        if self._pump is not None:
            await self._pump

    async def _launch(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self.program.command(),
            cwd=ROOT,
            env=self.program.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A group of its own: Ctrl-C reaches the runner alone, which stops things in order.
            start_new_session=True,
        )
        self._pump = asyncio.create_task(self._record(process))
        return process

    async def _record(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._logs.write(self.program.name, line)
        if rest:
            self._logs.write(self.program.name, rest)

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        self.state = "starting"
        while not await self.is_ready():
            if process.returncode is not None:
                self._kill_group(process.pid)
                raise StartFailed(self._why(f"ended with status {process.returncode}"))
            if time.monotonic() > deadline:
                raise StartFailed(self._why(f"was not ready in {START_SECONDS_MAX:.0f} s"))
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        self.state = "ready"

    def _why(self, what: str) -> str:
        return f"{self.program.name} {what}. It said last:\n{self._logs.tail(self.program.name)}"

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        while True:
            status = await process.wait()
            # Its own workers may have outlived it, and would hold the port.
            self._kill_group(process.pid)
            self._exits.append(time.monotonic())
            self._logs.write(self.program.name, f"-- ended with status {status}".encode())
            if self._is_crash_looping():
                self.state = "crash-loop"
                self._logs.write(self.program.name, b"-- ends again and again; not started again")
                return
            self.state = "waiting"
            exits = len(self._exits) if self._gives_up else 1
            turn = min(exits, len(RESTART_DELAYS_SECONDS)) - 1
            await asyncio.sleep(RESTART_DELAYS_SECONDS[turn])
            self.restarts += 1
            process = self._process = await self._launch()
            try:
                await self._until_ready(process)
            except StartFailed as error:
                self._logs.write(self.program.name, f"-- {str(error).splitlines()[0]}".encode())
                self._kill_group(process.pid)

    def _is_crash_looping(self) -> bool:
        full = len(self._exits) == CRASH_LOOP_EXITS
        return self._gives_up and full and self._exits[-1] - self._exits[0] < CRASH_LOOP_SECONDS

    @staticmethod
    def _kill_group(group: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
