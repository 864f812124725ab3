"""`seda events tail`: what is being said, heard on core subjects beside the streams.

No consumer is made at the broker, so nothing is taken from a work queue and nobody's place moves.
"""

import argparse
import asyncio
import fnmatch
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg
from seda_contracts.base import UnsafeSubjectKeyError, subject_key
from seda_contracts.registry import BY_TYPE, REGISTRY, Entry
from seda_runtime.clock import utc_now

from seda_cli import stored, terminal
from seda_cli.broker import Broker, open_broker
from seda_cli.failure import WrongUsage
from seda_cli.moments import clock_time, moment
from seda_cli.platform import find_target
from seda_cli.services import nearest
from seda_cli.sighting import PREFIXES, Sighting, sighting

TRACE = re.compile(r"[0-9a-f]{4,32}")
BODY_COLUMNS_MIN = 40
WAITING_MAX = 10_000
"""Live messages held while history is read or a terminal is slow."""
TYPE_COLUMNS = max(len(entry.contract.TYPE) for entry in REGISTRY)
SOURCE_COLUMNS = max(len(producer) for entry in REGISTRY for producer in entry.producers)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be shown."""

    entries: tuple[Entry, ...] | None
    """None for everything, also what the contracts do not know."""
    key: str | None
    trace: str | None
    """Beginning of a trace id."""
    since: datetime | None
    follow: bool
    count: int | None

    def subjects(self) -> list[str]:
        """What to listen to. A key of the person becomes one token and nothing else."""
        if self.entries is None and self.key is None:
            return [f"{prefix}>" for prefix in PREFIXES]
        return [f.replace("*", self.key or "*") for _, f in self._filters()]

    def histories(self, broker: Broker) -> list[stored.History]:
        if self.entries is None and self.key is None:
            kept = {(e.stream.name, ">") for e in REGISTRY}
        else:
            kept = {(name, f.replace("*", self.key or "*")) for name, f in self._filters()}
        return [stored.read(broker, name, f, since=self.since) for name, f in sorted(kept)]

    def _filters(self) -> list[tuple[str, str]]:
        return [
            (entry.stream.name, entry.contract.subject_filter())
            for entry in (REGISTRY if self.entries is None else self.entries)
        ]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", help="one type or a pattern: chat.message.*")
    parser.add_argument("--key", help="only of this key: the id that ends the subject")
    parser.add_argument("--trace", help="only of this trace; its first digits will do")
    parser.add_argument("--since", help="begin with what is stored: 10m, 2h, 2026-11-20T08:00")
    parser.add_argument("--no-follow", action="store_true", help="end with what is stored")
    parser.add_argument("--count", type=int, help="end after so many")


def run(options: argparse.Namespace) -> int:
    """Print events as they are said, until Ctrl-C. Looking takes nothing from anybody."""
    wanted = parse(options, now=utc_now())
    try:
        return asyncio.run(_run(options, wanted))
    except KeyboardInterrupt:
        return 0


def parse(options: argparse.Namespace, *, now: datetime) -> Wanted:
    """Raises WrongUsage for a word that would show nothing or something else."""
    if options.no_follow and options.since is None:
        raise WrongUsage("--no-follow shows what is stored: say from when, --since 10m")
    if options.count is not None and options.count < 1:
        raise WrongUsage("--count is at least 1")
    return Wanted(
        entries=_matching(options.type) if options.type else None,
        key=_key(options.key) if options.key else None,
        trace=_trace(options.trace) if options.trace else None,
        since=moment(options.since, now=now) if options.since else None,
        follow=not options.no_follow,
        count=options.count,
    )


async def _run(options: argparse.Namespace, wanted: Wanted) -> int:
    shown = 0
    target = find_target(options.state, nats_url=options.nats_url)
    async with open_broker(target) as broker, aclosing(_events(broker, wanted)) as events:
        async for event in events:
            if wanted.trace is not None and not event.trace_id.startswith(wanted.trace):
                continue
            _show(event, as_json=options.json)
            shown += 1
            if shown == wanted.count:
                return 0
    if not shown:
        terminal.complain("nothing of the kind is stored; `seda consumers` shows who is behind")
    return 0 if shown else 1


async def _events(broker: Broker, wanted: Wanted) -> AsyncGenerator[Sighting, None]:
    """History first, then the present. Listening begins before reading, so that nothing falls
    between them; what is in both is told once.
    """
    live: asyncio.Queue[Msg] = asyncio.Queue(WAITING_MAX)
    if wanted.follow:
        for subject in wanted.subjects():
            await broker.answer(broker.client.subscribe(subject, cb=live.put))
        await broker.answer(broker.flush())
        broker.survive_restarts()
    told: deque[int] = deque(maxlen=WAITING_MAX)
    if wanted.since is not None:
        async with aclosing(stored.merged(wanted.histories(broker))) as history:
            async for message in history:
                told.append(_identity(message.subject, message.headers, message.body))
                yield sighting(message.subject, message.headers, message.body, message.stored_at)
    overlap = set(told)
    while wanted.follow:
        heard = await live.get()
        headers = dict(heard.headers or {})
        if _identity(heard.subject, headers, heard.data) in overlap:
            continue
        yield sighting(heard.subject, headers, heard.data, utc_now())


def _identity(subject: str, headers: Mapping[str, str], body: bytes) -> int:
    return hash((subject, headers.get("Nats-Msg-Id"), headers.get("ce-id"), body))


def _show(event: Sighting, *, as_json: bool) -> None:
    if as_json:
        terminal.show_json(event, indent=None)
        return
    start = "  ".join(
        (
            clock_time(event.time, now=utc_now()),
            f"{terminal.printable(event.type):<{TYPE_COLUMNS}}",
            terminal.printable(event.key),
            f"{terminal.printable(event.source) or '-':<{SOURCE_COLUMNS}}",
            f"{terminal.printable(event.trace_id[:8]) or '-':<8}",
        )
    )
    body = "" if event.body_base64 else _compact(event.data)
    body = f"! {event.problem}  {body}" if event.problem else body
    room = max(BODY_COLUMNS_MIN, terminal.columns() - len(start) - 2)
    terminal.say(f"{start}  {terminal.cut(terminal.printable(body), room)}")


def _compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _matching(pattern: str) -> tuple[Entry, ...]:
    found = tuple(e for e in REGISTRY if fnmatch.fnmatchcase(e.contract.TYPE, pattern))
    if not found:
        raise WrongUsage(f"no event {pattern}{nearest(pattern, list(BY_TYPE))}")
    return found


def _key(text: str) -> str:
    try:
        return subject_key(text)
    except UnsafeSubjectKeyError as error:
        raise WrongUsage(f"{error} is no key: it is made of letters, digits, _ and -") from error


def _trace(text: str) -> str:
    """A trace id, its beginning, or a whole `traceparent`."""
    parts = text.lower().split("-")
    trace = parts[1] if len(parts) == 4 else text.lower()
    if not TRACE.fullmatch(trace):
        raise WrongUsage(f"{text!r} is no trace id: 4 to 32 hexadecimal digits")
    return trace
