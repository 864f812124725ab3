"""Run every service's `migrate`, and not again while nothing it reads has changed."""

import asyncio
import hashlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

from seda_devrunner.checkout import ROOT, Service
from seda_devrunner.wiring import Backing, migrate_environment

READ_BY_MIGRATE = (
    "contracts/src/**/*.py",
    "libs/seda-db/src/**/*.py",
    "libs/seda-messaging/src/**/*.py",
    "services/*/src/**/migrations/**/*.py",
)


class MigrationFailed(Exception):
    """One or more services could not migrate; the message holds what they said."""


def fingerprint(backing: Backing, root: Path = ROOT) -> str:
    """Changes with any file a migration reads, and with the servers it was applied to."""
    digest = hashlib.sha256()
    for pattern in READ_BY_MIGRATE:
        for file in sorted(root.glob(pattern)):
            digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    database_url = backing.databases[backing.services[0].name].owner_url
    places = (("postgres/data/PG_VERSION", database_url), ("nats/store", backing.nats_url))
    for place, url in places:
        # Born with the server's data: one that was reset has another number. Servers of others
        # are known by their address.
        born = backing.state.path / place
        digest.update(str(born.stat().st_ino if born.exists() else url).encode())
    return digest.hexdigest()


def is_migrated(backing: Backing) -> bool:
    noted = backing.state.migrated
    return noted.exists() and noted.read_text() == fingerprint(backing)


async def migrate_all(backing: Backing) -> None:
    """All services at once: none needs another's schema. Raises MigrationFailed."""
    backing.state.migrated.unlink(missing_ok=True)
    answers = await asyncio.gather(*(_migrate(service, backing) for service in backing.services))
    problems = [answer for answer in answers if answer]
    if problems:
        raise MigrationFailed("\n".join(problems))
    note_migrated(backing)


def note_migrated(backing: Backing) -> None:
    """Say that the servers' data is as today's migrations leave it: made here, or copied."""
    backing.state.migrated.write_text(fingerprint(backing))


async def _migrate(service: Service, backing: Backing) -> str | None:
    """None, or what the service said before it failed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        service.package,
        "migrate",
        env=migrate_environment(service, backing),
        cwd=ROOT,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode == 0:
        return None
    said = "\n".join(output.decode(errors="replace").splitlines()[-20:])
    return f"{service.name} could not migrate. It said last:\n{said}"
