"""The platform under test: the real one of the development runner, with the ledger beside it, and
handles to break each of its processes.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import asyncpg
import nats
from seda_contracts.permissions import OPS
from seda_devrunner.checkout import (
    ROOT,
    SERVICES_FILE,
    Service,
    StateFolder,
    load_services,
)
from seda_devrunner.migrating import migrate_all, note_migrated
from seda_devrunner.platform import Platform
from seda_devrunner.secret import load_secrets
from seda_devrunner.servers import Watched
from seda_devrunner.supervision import Supervised
from seda_devrunner.wiring import SOCKET_PATH, Wiring, back
from seda_ledger.provision import BROKER_USER
from seda_testkit.eventually import eventually
from seda_testkit.ports import free_port
from seda_testkit.provision import DATABASE, in_database

from seda_faults.snapshot import Reader

HOOK_FOLDER = ROOT / "infra" / "faults" / "hook"
LEDGER = Service("ledger", "seda_ledger", "ledger", port=0, metrics_port=0)
BACK_SECONDS_MAX = 60.0
FAILPOINTS = "SEDA_FAILPOINT"
CHAT = "chat-realtime"
PRESENCE_LEASE_SECONDS = 3
"""Shorter than in production, so that a run sees it end."""
GIVEN = ("DATABASE_URL", "NATS_URL")
"""Servers of others are not ours to kill."""


@dataclass(frozen=True, slots=True)
class Casting:
    """What differs from an ordinary run: failpoints per service, and a mutant in every service."""

    failpoints: Mapping[str, str]
    mutant: str | None = None

    def env(self, services: tuple[Service, ...]) -> dict[str, dict[str, str]]:
        everywhere = {}
        if self.mutant is not None:
            everywhere = {"SEDA_MUTANT": self.mutant, "PYTHONPATH": str(HOOK_FOLDER)}
        own = {name: {FAILPOINTS: text} for name, text in self.failpoints.items()}
        own.setdefault(CHAT, {})["PRESENCE_LEASE_SECONDS"] = str(PRESENCE_LEASE_SECONDS)
        return {s.name: {**everywhere, **own.get(s.name, {})} for s in services}


class Stage:
    """One running platform and the signals that break it. Names are those of `make status`."""

    def __init__(self, platform: Platform, services: tuple[Service, ...], wiring: Wiring) -> None:
        self._platform = platform
        self._services = services
        self.wiring = wiring
        self.socket_urls = [socket_url(wiring.ports[CHAT].socket)]
        """Of each process of chat. HTTP goes to the first."""

    @classmethod
    @asynccontextmanager
    async def set_up(
        cls, prepared: Path, folder: Path, casting: Casting, *, chat_processes: int = 1
    ) -> AsyncIterator[Self]:
        """A platform with the data of `prepared`, which stays as it is."""
        shutil.copytree(prepared, folder)
        state = StateFolder(folder)
        services = all_services()
        platform = _platform(state, services, casting)
        # Nothing runs yet, so nobody's address is asked for.
        secrets = load_secrets(state, services, ())
        note_migrated(
            back(services, admin_url="", nats_url="", nkey_seeds={}, secrets=secrets, state=state)
        )
        try:
            wiring = await platform.start(wished_ports=False)
            stage = cls(platform, services, wiring)
            for number in range(2, chat_processes + 1):
                await stage.add_chat(f"{CHAT}-{number}")
            yield stage
        finally:
            await platform.stop()

    async def add_chat(self, name: str) -> None:
        """One more process like the first, with ports of its own."""
        ports = {each: free_port() for each in ("PORT", "METRICS_PORT", "SOCKET_PORT")}
        url = f"http://127.0.0.1:{ports['PORT']}"
        first = self._program(CHAT).program
        program = replace(
            first,
            name=name,
            url=url,
            ready_url=f"{url}/readyz",
            env={**first.env, **{each: str(port) for each, port in ports.items()}},
        )
        added = Supervised(program, self._platform.logs, gives_up=False)
        self._platform.programs.append(added)
        await added.start()
        self.socket_urls.append(socket_url(ports["SOCKET_PORT"]))

    def kill(self, name: str) -> None:
        """As a crash does: the process and all it started, at once."""
        self._signal(name, signal.SIGKILL)

    def freeze(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    async def restart(self, name: str) -> None:
        """As a deployment does: it is asked to stop, and comes back. Returns when it has ended."""
        watched = self._server(name)
        pid = self._pid(name)
        if pid is None:
            return  # it is on its way back already
        with suppress(ProcessLookupError):
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for its clients to leave.
            os.kill(pid, signal.SIGTERM if watched is None else signal.SIGINT)
        await eventually(
            lambda: self._pid(name) != pid, timeout_seconds=BACK_SECONDS_MAX, poll_seconds=0.1
        )

    async def disarm(self) -> None:
        """Start whoever has failpoints again without them."""
        armed = [p for p in self._platform.programs if FAILPOINTS in p.program.env]
        for program in armed:
            env = {n: text for n, text in program.program.env.items() if n != FAILPOINTS}
            program.program = replace(program.program, env=env)
        await asyncio.gather(*(self.restart(program.program.name) for program in armed))

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
        broker = await nats.connect(
            self.wiring.backing.nats_url,
            inbox_prefix=f"_INBOX_{OPS}".encode(),
            nkeys_seed_str=self.wiring.backing.nkey_seeds[OPS],
            connect_timeout=5,
        )
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
        pid = self._pid(name)
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

    def _pid(self, name: str) -> int | None:
        watched = self._server(name)
        return self._program(name).pid if watched is None else watched.server.pid

    def _server(self, name: str) -> Watched | None:
        return next((w for w in self._platform.servers.embedded if w.name == name), None)

    def _program(self, name: str) -> Supervised:
        return next(p for p in self._platform.programs if p.program.name == name)


def socket_url(port: int | None) -> str:
    return f"ws://127.0.0.1:{port}{SOCKET_PATH}"


def all_services() -> tuple[Service, ...]:
    return (*load_services(SERVICES_FILE), LEDGER)


async def prepare(folder: Path) -> None:
    """A state folder with migrated servers that do not run, to copy for each run."""
    state = StateFolder(folder)
    state.make()
    platform = _platform(state, all_services(), Casting({}))
    try:
        await migrate_all(await platform.start_servers())
    finally:
        await platform.stop()


def _platform(state: StateFolder, services: tuple[Service, ...], casting: Casting) -> Platform:
    kept = {name: text for name, text in os.environ.items() if name not in GIVEN}
    return Platform(
        services,
        state,
        kept,
        say=lambda _: None,
        extra_broker_users={LEDGER.name: BROKER_USER},
        added_env=casting.env(services),
        gives_up=False,
    )


def _children(pid: int) -> list[int]:
    """Empty where the kernel does not tell, which leaves the backends to notice by themselves."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in file.read_text().split()] if file.exists() else []
