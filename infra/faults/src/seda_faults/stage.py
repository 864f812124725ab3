"""The platform under test: the real one of the development runner, with the ledger beside it, and
handles to break each of its processes.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import asyncpg
import nats
from seda_devrunner.checkout import ROOT, SERVICES_FILE, Service, StateFolder, load_services
from seda_devrunner.platform import Platform
from seda_devrunner.servers import Watched
from seda_devrunner.supervision import Supervised
from seda_devrunner.wiring import Wiring
from seda_testkit.eventually import eventually
from seda_testkit.provision import in_database, DATABASE

from seda_faults.snapshot import Reader

HOOK_FOLDER = ROOT / "infra" / "faults" / "hook"
LEDGER = Service("ledger", "seda_ledger", "ledger", port=0, metrics_port=0)
BACK_SECONDS_MAX = 60.0
GIVEN = ("DATABASE_URL", "NATS_URL")
"""Servers of others are not ours to kill."""


@dataclass(frozen=True, slots=True)
class Casting:
    """What differs from an ordinary run: failpoints per service, and a mutant in every service."""

    failpoints: Mapping[str, str]
    mutant: str | None = None

    def env(self, services: tuple[Service, ...]) -> dict[str, dict[str, str]]:
        return {
            service.name: {
                **({"SEDA_FAILPOINT": self.failpoints[service.name]}
                   if service.name in self.failpoints else {}),
                **({"SEDA_MUTANT": self.mutant, "PYTHONPATH": str(HOOK_FOLDER)}
                   if self.mutant else {}),
            }
            for service in services
        }


class Stage:
    """One running platform and the signals that break it. Names are those of `make status`."""

    def __init__(self, platform: Platform, services: tuple[Service, ...], wiring: Wiring) -> None:
        self._platform = platform
        self._services = services
        self.wiring = wiring

    @classmethod
    @asynccontextmanager
    async def set_up(cls, folder: Path, casting: Casting) -> AsyncIterator[Self]:
        state = StateFolder(folder)
        state.make()
        services = (*load_services(SERVICES_FILE), LEDGER)
        kept = {name: text for name, text in os.environ.items() if name not in GIVEN}
        platform = Platform(
            services,
            state,
            kept,
            say=lambda _: None,
            added_env=casting.env(services),
            gives_up=False,
        )
        try:
            wiring = await platform.start(wished_ports=False)
            yield cls(platform, services, wiring)
        finally:
            await platform.stop()

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(service.name for service in self._services)

    def kill(self, name: str) -> None:
        """As a crash does: the process and all it started, at once."""
        self._signal(name, signal.SIGKILL)

    def freeze(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def restart(self, name: str) -> None:
        """As a deployment does: it is asked to stop, and comes back."""
        watched = self._server(name)
        if watched is not None:
            # Fast shutdown of PostgreSQL, lame duck of NATS.
            os.kill(watched.server.pid or 0, signal.SIGINT)
        elif (program := self._program(name)).pid is not None:
            os.kill(program.pid, signal.SIGTERM)

    @asynccontextmanager
    async def away(self, name: str) -> AsyncIterator[None]:
        """Killed, and not started again before the block ends."""
        watched = self._server(name)
        assert watched is not None, f"{name} is no server: the runner starts it again at once"
        watched.held = True
        self.kill(name)
        try:
            yield
        finally:
            watched.held = False

    async def until_whole(self) -> None:
        """Everything runs and says that it is ready."""

        async def whole() -> bool:
            rows = await self._platform.snapshot()
            return all(row["state"] == "ready" for row in rows)

        await eventually(whole, timeout_seconds=BACK_SECONDS_MAX, poll_seconds=0.2)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        url = in_database(self._platform.servers.admin_url, DATABASE)
        database = await asyncpg.connect(url)
        broker = await nats.connect(self.wiring.backing.nats_url, connect_timeout=5)
        try:
            yield Reader(database, broker, self._services)
        finally:
            await broker.close()
            await database.close()

    def restarts(self) -> int:
        programs = sum(program.restarts for program in self._platform.programs)
        return programs + sum(w.restarts for w in self._platform.servers.embedded)

    def _signal(self, name: str, number: signal.Signals) -> None:
        watched = self._server(name)
        pid = self._program(name).pid if watched is None else watched.server.pid
        if pid is None:
            return  # it is on its way back already
        with suppress(ProcessLookupError):
            if watched is None:
                os.killpg(pid, number)
                return
            # PostgreSQL's backends have sessions of their own.
            for each in (pid, *_children(pid)):
                with suppress(ProcessLookupError):
                    os.kill(each, number)

    def _server(self, name: str) -> Watched | None:
        return next((w for w in self._platform.servers.embedded if w.name == name), None)

    def _program(self, name: str) -> Supervised:
        return next(p for p in self._platform.programs if p.program.name == name)


def _children(pid: int) -> list[int]:
    """Empty where the kernel does not tell, which leaves the backends to notice by themselves."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in file.read_text().split()] if file.exists() else []
