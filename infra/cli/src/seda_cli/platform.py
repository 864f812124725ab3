"""Which platform is meant: the one the environment names, else the one `make run` runs here."""

import os
from pathlib import Path

import msgspec
from seda_contracts.permissions import OPERATOR, OPS
from seda_devrunner.checkout import StateFolder
from seda_devrunner.lock import read_run
from seda_messaging.broker_keys import kept_seeds

from seda_cli.failure import CommandFailed

START_ONE = "no platform is running here: `make run DETACH=1`, or set"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where broker and database are, and who may log in.

    Seeds come by the environment or from the state folder, never by an argument: arguments are
    seen by everybody on the machine.
    """

    nats: str | None
    database: str | None
    seeds: dict[str, str]
    """User -> seed: those of NATS_NKEY_SEED_<USER>, else those of the platform of this folder."""
    seed: str | None
    """The seed of NATS_NKEY_SEED. Whose it is, the broker tells."""

    @property
    def nats_url(self) -> str:
        if self.nats is None:
            raise CommandFailed(f"{START_ONE} NATS_URL")
        return self.nats

    @property
    def database_url(self) -> str:
        if self.database is None:
            raise CommandFailed(f"{START_ONE} DATABASE_URL")
        return self.database


def find_target(state: Path | None = None, *, nats_url: str | None = None) -> Target:
    """`nats_url` overrules NATS_URL. Whoever names another broker does not mean the database of
    this folder, and must not be given its seeds.
    """
    people = (OPS, OPERATOR)
    facts = read_run(StateFolder(state) if state else StateFolder()) or {}
    url = nats_url or os.environ.get("NATS_URL") or facts.get("nats_url")
    own = facts if url == facts.get("nats_url") else {}
    return Target(
        nats=url,
        database=os.environ.get("DATABASE_URL") or own.get("database_url"),
        seeds=kept_seeds(os.environ, people) or own.get("nats_seeds", {}),
        seed=os.environ.get("NATS_NKEY_SEED"),
    )
