"""`seda consumers`: who takes events, and how far behind; stopping one for a while."""

import argparse
import asyncio
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from seda_contracts.permissions import OPERATOR, services
from seda_contracts.registry import durable_name
from seda_contracts.streams import STREAMS
from seda_messaging.provision import consumers_of
from seda_runtime.clock import utc_now

from seda_cli import terminal
from seda_cli.broker import Broker, open_broker
from seda_cli.failure import CommandFailed, WrongUsage
from seda_cli.moments import ago, span
from seda_cli.platform import find_target
from seda_cli.services import find_service, nearest
from seda_cli.words import Verbs

NEXT_STEPS = {
    "missing": "not made yet: `python -m {package} migrate` makes it",
    "stale": "takes other events than declared: `python -m {package} migrate` corrects it",
    "paused": "`seda consumers resume {consumer}` lets it go on",
    "undeclared": "in no contract: whoever made it deletes it",
}


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer of the contracts."""

    consumer: str
    stream: str
    subjects: frozenset[str]


class ConsumerRow(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda consumers --json`."""

    consumer: str
    """`<service>.<purpose>`; the name at the broker for one that nobody declared."""
    stream: str
    state: str
    """ok, missing, stale, paused or undeclared."""
    waiting: int
    """Messages not delivered yet."""
    in_hand: int
    """Delivered and not settled yet."""
    redelivered: int
    """In hand for at least the second time."""
    readers: int
    """Open pull requests: 0 with something waiting means that nobody asks."""
    last_delivered_at: datetime | None


def add_verbs(verbs: Verbs) -> None:
    rows = verbs.add("list", list_consumers, "every durable consumer, declared or found")
    rows.add_argument("service", nargs="?", help="only of this one; chat will do")
    pause = verbs.add("pause", pause_consumer, "deliver nothing to one for a while")
    pause.add_argument("consumer", help="as in the list: track-unfurl.shares")
    pause.add_argument("--for", dest="length", default="5m", help="at most 1d (default: 5m)")
    resume = verbs.add("resume", resume_consumer, "let a paused one go on")
    resume.add_argument("consumer", help="as in the list: track-unfurl.shares")


def list_consumers(options: argparse.Namespace) -> int:
    """Every durable consumer with what it has before it. 1 when there is none."""
    service = find_service(options.service).name if options.service is not None else None
    rows = asyncio.run(_list(options, service))
    if options.json:
        terminal.show_json(rows)
    elif rows:
        _show(rows)
    else:
        terminal.complain(f"{service} takes no event")
    return 0 if rows else 1


def pause_consumer(options: argparse.Namespace) -> int:
    """The broker keeps what comes meanwhile and delivers it afterwards, even if nobody resumes."""
    length = span(options.length)
    if not 0 < length.total_seconds() <= 86_400:
        raise WrongUsage("--for is between 1s and 1d")
    until = utc_now() + length
    asyncio.run(_pause(options, until))
    terminal.say(f"{options.consumer} is paused until {until:%H:%M:%S} UTC")
    return 0


def resume_consumer(options: argparse.Namespace) -> int:
    asyncio.run(_pause(options, None))
    terminal.say(f"{options.consumer} goes on")
    return 0


@cache
def declared() -> dict[str, Declared]:
    """Consumer -> declaration, for the whole platform."""
    return {
        consumer: Declared(
            consumer=consumer,
            stream=entries[0].stream.name,
            subjects=frozenset(entry.contract.subject_filter() for entry in entries),
        )
        for service in services()
        for consumer, entries in consumers_of(service).items()
    }


async def found_at(broker: Broker, stream: str) -> list[dict[str, Any]]:
    """What the broker says of each consumer of a stream; nothing when there is no such stream."""
    found: list[dict[str, Any]] = []
    while True:
        page = await broker.api(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
        if page is None:
            return found
        found += page["consumers"]
        if not page["consumers"] or len(found) >= page["total"]:
            return found


async def _list(options: argparse.Namespace, service: str | None) -> list[ConsumerRow]:
    target = find_target(options.state, nats_url=options.nats_url)
    wanted = [d for d in declared().values() if service is None or _of(d.consumer, service)]
    rows = []
    async with open_broker(target) as broker:
        for stream in STREAMS:
            here = {d.consumer: d for d in wanted if d.stream == stream.name}
            known = {durable_name(consumer) for consumer in declared()}
            found = {info["name"]: info for info in await found_at(broker, stream.name)}
            for consumer, declaration in here.items():
                rows.append(_row(declaration, found.get(durable_name(consumer))))
            rows += [
                _found(name, stream.name, "undeclared", info)
                for name, info in found.items()
                if name not in known and (service is None or name.startswith(f"{service}_"))
            ]
    return sorted(rows, key=lambda row: row.consumer)


def _of(consumer: str, service: str) -> bool:
    return consumer.startswith(f"{service}.")


def _row(declaration: Declared, info: dict[str, Any] | None) -> ConsumerRow:
    if info is None:
        return ConsumerRow(
            consumer=declaration.consumer,
            stream=declaration.stream,
            state="missing",
            waiting=0,
            in_hand=0,
            redelivered=0,
            readers=0,
            last_delivered_at=None,
        )
    config = info["config"]
    filters = config.get("filter_subjects") or [config.get("filter_subject", "")]
    state = "ok" if set(filters) == declaration.subjects else "stale"
    state = "paused" if info.get("paused") else state
    return _found(declaration.consumer, declaration.stream, state, info)


def _found(consumer: str, stream: str, state: str, info: dict[str, Any]) -> ConsumerRow:
    last = info["delivered"].get("last_active")
    return ConsumerRow(
        consumer=consumer,
        stream=stream,
        state=state,
        waiting=info["num_pending"],
        in_hand=info["num_ack_pending"],
        redelivered=info["num_redelivered"],
        readers=info["num_waiting"],
        last_delivered_at=datetime.fromisoformat(last) if last else None,
    )


def _show(rows: Iterable[ConsumerRow]) -> None:
    now = utc_now()
    headings = ("consumer", "stream", "state", "waiting", "in hand", "redelivered", "readers")
    cells = [
        (
            row.consumer,
            row.stream,
            row.state,
            str(row.waiting),
            str(row.in_hand),
            str(row.redelivered),
            str(row.readers),
            f"{ago((now - row.last_delivered_at).total_seconds())} ago"
            if row.last_delivered_at
            else "never",
        )
        for row in rows
    ]
    terminal.table((*headings, "last delivered"), cells, free_text=False)
    for row in rows:
        if row.state in NEXT_STEPS:
            package = row.consumer.partition(".")[0].replace("-", "_")
            step = NEXT_STEPS[row.state].format(package=package, consumer=row.consumer)
            terminal.complain(f"{row.consumer}: {step}")


async def _pause(options: argparse.Namespace, until: datetime | None) -> None:
    known = declared()
    declaration = known.get(options.consumer)
    if declaration is None:
        raise WrongUsage(f"no consumer {options.consumer}{nearest(options.consumer, list(known))}")
    target = find_target(options.state, nats_url=options.nats_url)
    request = {} if until is None else {"pause_until": until}
    verb = f"CONSUMER.PAUSE.{declaration.stream}.{durable_name(declaration.consumer)}"
    async with open_broker(target, OPERATOR) as broker:
        if await broker.api(verb, request) is None:
            raise CommandFailed(f"{options.consumer} is missing at the broker; `seda consumers`")
