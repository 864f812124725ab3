"""`seda outbox`: what services have yet to publish, and publishing again what the broker lost."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from seda_contracts.registry import BY_TYPE, produced_by
from seda_db import Database, DatabaseUnavailable
from seda_devrunner.checkout import Service
from seda_messaging.replay import outbox_status, replay
from seda_runtime.clock import utc_now
from sqlalchemy.exc import ProgrammingError

from seda_cli import terminal
from seda_cli.failure import CommandFailed, WrongUsage
from seda_cli.moments import ago, moment
from seda_cli.platform import find_target
from seda_cli.services import every_service, find_service, nearest
from seda_cli.words import Verbs


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda outbox status --json`."""

    service: str
    waiting: int
    """Events that are committed and not published yet."""
    oldest_waiting_seconds: float | None
    refused: int
    """Those among them that the broker has said it does not take."""
    published_kept: int
    """Published events that are kept and can be published again."""
    kept_since: datetime | None
    last_error: str | None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda outbox replay --json`."""

    service: str
    events: int
    since: datetime
    until: datetime | None


def add_verbs(verbs: Verbs) -> None:
    status = verbs.add("status", show_status, "what is waiting and what is kept")
    status.add_argument("service", nargs="?", help="only of this one; chat will do")
    again = verbs.add("replay", replay_events, "publish again what was published before")
    again.add_argument("--service", required=True, help="whose; chat will do")
    again.add_argument("--since", required=True, help="2h, 2026-11-20T08:00")
    again.add_argument("--until", help="1h, 2026-11-20T09:00 (default: now)")
    again.add_argument("--type", help="only this one: chat.message.sent.v1")
    again.add_argument("--yes", action="store_true", help="without being asked")


def show_status(options: argparse.Namespace) -> int:
    """Outboxes of all services. An old waiting event means: no broker, or no service that runs."""
    services = (find_service(options.service),) if options.service is not None else every_service()
    rows = asyncio.run(_status(options, services))
    if options.json:
        terminal.show_json(rows)
    else:
        _show(rows)
    return 0


def replay_events(options: argparse.Namespace) -> int:
    """For a broker that lost its streams: the service publishes again, under the same ids.

    Consumers that took an event remember it, so it takes effect once. 1 when nothing was kept.
    """
    service = find_service(options.service)
    now = utc_now()
    since = moment(options.since, now=now)
    until = moment(options.until, now=now) if options.until else None
    if since >= (until or now):
        raise WrongUsage("--since is before --until, and both are past")
    if options.type is not None:
        _check_type(service, options.type)
    what = f"publish again what {service.name} published since {since:%Y-%m-%d %H:%M:%S} UTC"
    if not options.yes and not terminal.ask(f"{what}?"):
        raise WrongUsage(f"not done: --yes lets me {what}")
    events = asyncio.run(_replay(options, service, since, until))
    done = Replayed(service=service.name, events=events, since=since, until=until)
    if options.json:
        terminal.show_json(done)
    elif events:
        terminal.say(f"{events} to be published again as soon as {service.name} runs")
        terminal.complain(f"`seda outbox status {service.name}` shows how many are left")
    else:
        terminal.complain("nothing of the kind is kept; `seda outbox status` shows since when")
    return 0 if events else 1


def _check_type(service: Service, type: str) -> None:
    known = [entry.contract.TYPE for entry in produced_by(service.name)]
    if type not in known:
        by = f": {BY_TYPE[type].producer} publishes it" if type in BY_TYPE else nearest(type, known)
        raise WrongUsage(f"{service.name} publishes no {type}{by}")


async def _status(options: argparse.Namespace, services: tuple[Service, ...]) -> list[OutboxRow]:
    rows = []
    async with _database(options) as database:
        for service in services:
            async with database.begin() as tx:
                status = await outbox_status(tx, service.schema)
            rows.append(OutboxRow(service=service.name, **msgspec.structs.asdict(status)))
    return rows


async def _replay(
    options: argparse.Namespace, service: Service, since: datetime, until: datetime | None
) -> int:
    async with _database(options) as database, database.begin() as tx:
        return await replay(tx, service.schema, since=since, until=until, type=options.type)


@asynccontextmanager
async def _database(options: argparse.Namespace) -> AsyncIterator[Database]:
    """Raises CommandFailed for what a person can mend."""
    target = find_target(options.state, nats_url=options.nats_url)
    database = Database(target.database_url)
    try:
        yield database
    except DatabaseUnavailable as error:
        raise CommandFailed(
            "the database does not answer: is it running, and is DATABASE_URL right?"
        ) from error
    except ProgrammingError as error:
        raise CommandFailed(
            "this login may not read that outbox, or its migrations are missing: set DATABASE_URL "
            "to the service's own and name the service"
        ) from error
    finally:
        await database.close()


def _show(rows: list[OutboxRow]) -> None:
    cells = [
        (
            row.service,
            str(row.waiting),
            "-" if row.oldest_waiting_seconds is None else ago(row.oldest_waiting_seconds),
            str(row.refused),
            str(row.published_kept),
            f"{row.kept_since:%Y-%m-%d %H:%M:%S}" if row.kept_since else "-",
            row.last_error or "-",
        )
        for row in rows
    ]
    headings = ("service", "waiting", "oldest", "refused", "kept", "kept since (UTC)", "last error")
    terminal.table(headings, cells, free_text=True)
