"""Programs under measurement as processes of their own, and what the system says of them."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from event_work import Places
from seda_devrunner.checkout import ROOT

FOLDER = Path(__file__).parent
BESIDE = ROOT / ".tools" / "bench"
"""Installed by `make bench`: FastStream, matplotlib, what they need; in no lock of the product."""
PROGRAMS = {
    "seda": FOLDER / "event_program.py",
    "faststream": FOLDER / "peers" / "faststream_program.py",
}
STOP_SECONDS_MAX = 15.0


@dataclass(slots=True)
class Program:
    """A started program and what it has said so far: moments by message id, per word."""

    process: Process
    said: dict[str, dict[str, tuple[float, ...]]] = field(
        default_factory=lambda: {"sent": {}, "took": {}}
    )
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    async def listen(self) -> None:
        """Until it ends. Log lines stand between what is meant for us."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            word, *rest = line.decode().split()
            if word == "ready":
                self.ready.set()
            elif word in self.said:
                self.said[word][rest[0]] = tuple(map(float, rest[1:]))


@asynccontextmanager
async def running(system: str, part: str, places: Places) -> AsyncIterator[Program]:
    """The program, ended with the block. A producer ends by itself: wait for its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAMS[system]),
        part,
        msgspec.json.encode(places).decode(),
        stdout=PIPE,
        env=os.environ | {"PYTHONPATH": f"{FOLDER}{os.pathsep}{BESIDE}"},
    )
    program = Program(process)
    listening = asyncio.create_task(program.listen())
    try:
        yield program
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        await listening


def cpu_seconds(pid: int, *, with_children: bool = False) -> float:
    """Time on a processor so far, of every thread; with children, those that live now and those
    that have ended, or what an autovacuum worker spent would be taken back when it is done.

    From schedstat, in nanoseconds: the ticks of /proc/PID/stat lose up to 10 ms per process, and
    PostgreSQL has a process per connection. Of those that have ended there are only the ticks.
    """
    if not with_children:
        return _nanoseconds(pid) / 1e9
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    living = sum(_nanoseconds(one) for one in (pid, *map(int, children)))
    return living / 1e9 + _ended_children_seconds(pid)


def _ended_children_seconds(pid: int) -> float:
    """cutime and cstime of proc_pid_stat(5). The name before them may have spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _nanoseconds(pid: int) -> int:
    try:
        threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(thread.read_text().split()[0]) for thread in threads)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended since its parent was asked
