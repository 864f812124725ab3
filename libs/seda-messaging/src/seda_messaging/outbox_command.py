"""`outbox-status` and `replay-outbox`: what someone on call asks of a service's image.

They need the service's own DATABASE_URL and nothing else; the running service does the sending.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from seda_db import Database, DatabaseUnavailable
from seda_runtime.clock import Clock, read_moment, utc_now
from seda_runtime.settings import load
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from seda_messaging.replay import OutboxStatus, outbox_status, replay

T = TypeVar("T")


class OutboxCommandFailed(Exception):
    """The message says what to do next."""


class OutboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What these commands need: the login of the service's own role."""

    database_url: str


def status_now(schema: str, environment: Mapping[str, str]) -> OutboxStatus:
    """Raises SettingsError and OutboxCommandFailed."""
    return _in_transaction(environment, lambda tx: outbox_status(tx, schema))


def replay_now(
    schema: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    types: Sequence[str],
    now: Clock = utc_now,
) -> str:
    """Mark what was published as unpublished again, and say what happens next.

    `types` are those the service publishes. Raises SettingsError and OutboxCommandFailed; wrong
    options end the process with status 2, as argparse does.
    """
    parser = argparse.ArgumentParser(prog="replay-outbox")
    parser.add_argument("--since", required=True, help="2h, 30m, 3d or a moment (UTC)")
    parser.add_argument("--until", help="the same; without it everything up to now")
    parser.add_argument("--type", help="only this event type, as in chat.message.sent.v1")
    options = parser.parse_args(arguments)
    since = _moment(options.since, now())
    until = None if options.until is None else _moment(options.until, now())
    if until is not None and until <= since:
        raise OutboxCommandFailed("--until is not after --since; exchange them")
    if options.type is not None and options.type not in types:
        raise OutboxCommandFailed(
            f"this service does not publish {options.type}; take one of {', '.join(types)}"
        )

    async def work(tx: AsyncSession) -> tuple[OutboxStatus, int]:
        before = await outbox_status(tx, schema)
        return before, await replay(tx, schema, since=since, until=until, type=options.type)

    before, count = _in_transaction(environment, work)
    said = f"{count} events wait to be published again; the running service sends them."
    if before.kept_since is None or before.kept_since > since:
        kept = "nothing" if before.kept_since is None else f"{before.kept_since:%Y-%m-%d %H:%M:%SZ}"
        said += f" Older ones than the oldest kept ({kept}) are not here any more."
    return f"{said} Follow it with outbox-status."


def _moment(text: str, now: datetime) -> datetime:
    try:
        return read_moment(text, now=now)
    except ValueError as error:
        raise OutboxCommandFailed(str(error)) from None


def _in_transaction(
    environment: Mapping[str, str], work: Callable[[AsyncSession], Coroutine[Any, Any, T]]
) -> T:
    settings = load(OutboxSettings, environment)

    async def run() -> T:
        database = Database(settings.database_url, pool_size=1)
        try:
            async with database.begin() as tx:
                return await work(tx)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except DatabaseUnavailable:
        raise OutboxCommandFailed(
            "the database does not answer; is DATABASE_URL the one the service runs with?"
        ) from None
    except DBAPIError as error:
        raise OutboxCommandFailed(
            f"the database refused ({type(error.orig).__name__}); is DATABASE_URL that of the "
            "service's own role, and has `migrate` of this release run?"
        ) from error
