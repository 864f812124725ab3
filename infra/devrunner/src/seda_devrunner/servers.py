"""PostgreSQL and NATS of this run: embedded ones, or those DATABASE_URL and NATS_URL name."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from seda_contracts.permissions import Permissions
from seda_messaging.broker_keys import kept_seeds
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres

from seda_devrunner.broker import guarded_nats
from seda_devrunner.checkout import StateFolder
from seda_devrunner.logbook import LogBook

WATCH_SECONDS = 0.5


@dataclass(slots=True)
class Watched:
    """An embedded server with the number of times it had to be started again."""

    name: str
    server: EmbeddedPostgres | EmbeddedNats
    restarts: int = 0
    held: bool = False
    """Not started again while somebody wants it away."""

    @property
    def url(self) -> str:
        if isinstance(self.server, EmbeddedNats):
            return self.server.url
        return f"postgresql://127.0.0.1:{self.server.port}/seda"


class Servers:
    """Start order: PostgreSQL, NATS; the other way round when they stop.

    `nkey_seeds` holds the private keys of the broker's users, by user: those of the state folder
    for the embedded one; for a given one what NATS_NKEY_SEED_<USER> says, nothing at a broker
    that knows no users.
    """

    def __init__(
        self,
        state: StateFolder,
        env: Mapping[str, str],
        logs: LogBook,
        *,
        broker_users: Mapping[str, Permissions],
        nkey_seeds: Mapping[str, str],
    ) -> None:
        self._given_database_url = env.get("DATABASE_URL", "")
        self._given_nats_url = env.get("NATS_URL", "")
        self._logs = logs
        self._watcher: asyncio.Task[None] | None = None
        self.embedded: list[Watched] = []
        if not self._given_database_url:
            postgres = EmbeddedPostgres(state.path / "postgres", durable=True)
            self.embedded.append(Watched("postgres", postgres))
        self.nkey_seeds = nkey_seeds
        if self._given_nats_url:
            self.nkey_seeds = kept_seeds(env, broker_users)
        else:
            nats = guarded_nats(state.path / "nats", broker_users, nkey_seeds)
            self.embedded.append(Watched("nats", nats))

    @property
    def admin_url(self) -> str:
        """A login that may create roles and databases."""
        for watched in self.embedded:
            if isinstance(watched.server, EmbeddedPostgres):
                return watched.server.admin_url
        return self._given_database_url

    @property
    def nats_url(self) -> str:
        for watched in self.embedded:
            if isinstance(watched.server, EmbeddedNats):
                return watched.server.url
        return self._given_nats_url

    def start(self) -> None:
        """Blocks for a moment on purpose: a child is told of the death of the thread that started
        it, so servers are started by the main thread and no other.
        """
        for watched in self.embedded:
            watched.server.start()

    def watch(self) -> None:
        self._watcher = asyncio.create_task(self._restart_what_ended())

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        for watched in reversed(self.embedded):
            watched.server.stop()

    async def _restart_what_ended(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for watched in self.embedded:
                if not watched.held and not watched.server.is_running():
                    watched.restarts += 1
                    self._logs.write(watched.name, b"-- ended; starting it again")
                    watched.server.start()
