"""The whole platform as one thing: start it, look at it, stop it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from seda_contracts.permissions import Permissions, users
from seda_testkit.provision import provision

from seda_devrunner.checkout import Service, StateFolder
from seda_devrunner.logbook import LogBook
from seda_devrunner.memory import memory_bytes
from seda_devrunner.migrating import is_migrated, migrate_all
from seda_devrunner.secret import load_secrets
from seda_devrunner.servers import Servers
from seda_devrunner.supervision import Supervised
from seda_devrunner.wiring import Backing, Wiring, back, demosites_program, service_program, wire

Say = Callable[[str], None]


class Platform:
    """PostgreSQL, NATS, the demo sites and the services, in that order; stopped the other way.

    `extra_broker_users` are let in beside those of the contracts, for a test that must look where
    no service may; `servers.nkey_seeds` has their keys. `added_env` is for one program each, by
    name. `gives_up` is `Supervised`'s.
    """

    def __init__(
        self,
        services: tuple[Service, ...],
        state: StateFolder,
        env: Mapping[str, str],
        *,
        say: Say,
        extra_broker_users: Mapping[str, Permissions] | None = None,
        added_env: Mapping[str, Mapping[str, str]] | None = None,
        gives_up: bool = True,
    ) -> None:
        broker_users = users() | dict(extra_broker_users or {})
        self._services = services
        self._state = state
        self._secrets = load_secrets(state, services, broker_users)
        self._say = say
        self._added_env = added_env or {}
        self._gives_up = gives_up
        self._started_at = time.monotonic()
        self.logs = LogBook(state.logs)
        self.servers = Servers(
            state,
            env,
            self.logs,
            broker_users=broker_users,
            nkey_seeds=self._secrets.nkey_seeds,
        )
        self.programs: list[Supervised] = []

    async def start(self, *, wished_ports: bool = True) -> Wiring:
        """Returns when everything is ready. Raises StartFailed, MigrationFailed and the launchers'
        errors; what had started by then is stopped by `stop`.
        """
        backing = await self.start_servers()
        if not is_migrated(backing):
            self._say("applying migrations")
            await migrate_all(backing)
        wiring = wire(backing, wished_ports=wished_ports)
        if wished_ports:
            for line in wiring.moved():
                self._say(line)
        # The gateway comes first in the list and last here: the edge opens when the rest is there.
        programs = [demosites_program(wiring)]
        programs += [service_program(service, wiring) for service in reversed(backing.services)]
        self.programs = [
            Supervised(
                replace(program, env={**program.env, **self._added_env.get(program.name, {})}),
                self.logs,
                gives_up=self._gives_up,
            )
            for program in programs
        ]
        self._say("starting " + ", ".join(program.name for program in programs))
        try:
            async with asyncio.TaskGroup() as starts:
                for program in self.programs:
                    starts.create_task(program.start())
        except ExceptionGroup as failures:
            # The first names the cause; the others were given up because of it.
            raise failures.exceptions[0] from None
        return wiring

    async def start_servers(self) -> Backing:
        """Only what holds data, with its roles and schemas."""
        services = self._services
        if self.servers.embedded:
            self._say("starting " + " and ".join(w.name for w in self.servers.embedded))
        self.servers.start()
        self.servers.watch()
        await provision(
            self.servers.admin_url,
            [service.schema for service in services],
            self._secrets.passwords,
        )
        return back(
            services,
            admin_url=self.servers.admin_url,
            nats_url=self.servers.nats_url,
            nkey_seeds=self.servers.nkey_seeds,
            secrets=self._secrets,
            state=self._state,
        )

    async def stop(self) -> None:
        """Edges first, data last. The grace of all programs runs at the same time."""
        for program in reversed(self.programs):
            program.ask_to_stop()
        await asyncio.gather(*(program.stop() for program in reversed(self.programs)))
        await self.servers.stop()
        self.logs.close()

    @property
    def up_seconds(self) -> float:
        return time.monotonic() - self._started_at

    async def snapshot(self) -> list[dict[str, Any]]:
        """One row per server and program, asked at this moment."""
        rows = [
            _row(
                watched.name,
                "ready" if watched.server.is_running() else "ended",
                watched.url,
                watched.server.pid,
                watched.restarts,
            )
            for watched in self.servers.embedded
        ]
        ready = await asyncio.gather(*(program.is_ready() for program in self.programs))
        for program, is_ready in zip(self.programs, ready, strict=True):
            state = "not ready" if program.state == "ready" and not is_ready else program.state
            rows.append(
                _row(
                    program.program.name, state, program.program.url, program.pid, program.restarts
                )
            )
        return rows


def _row(name: str, state: str, url: str, pid: int | None, restarts: int) -> dict[str, Any]:
    return {
        "service": name,
        "state": state,
        "url": url,
        "pid": pid,
        "memory_bytes": memory_bytes(pid) if pid is not None else None,
        "restarts": restarts,
    }
