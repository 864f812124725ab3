"""`seda dlq`: what could not be taken, why, and giving it back."""

import argparse
import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from seda_contracts.permissions import OPERATOR
from seda_runtime.clock import utc_now

from seda_cli import retry, terminal
from seda_cli.broker import Broker, open_broker
from seda_cli.consumers import declared
from seda_cli.failure import CommandFailed, WrongUsage
from seda_cli.letters import (
    Found,
    Letter,
    Pointers,
    every_letter,
    find_letter,
    read_pointers,
)
from seda_cli.moments import clock_time
from seda_cli.platform import find_target
from seda_cli.services import nearest
from seda_cli.sighting import read_json, trace_of
from seda_cli.words import Verbs

BODY_SHOWN_MAX = 4_000
"""Characters of a body on a terminal; `--json` has all of it."""

SAID: dict[retry.Outcome, str] = {
    "given_back": "given back as",
    "was_given_back": "had been given back as",
    "refused": "refused:",
    "failed": "failed, and the rest was left:",
}


class Opened(Letter, frozen=True, kw_only=True):
    """The keys of `seda dlq show --json`: those of `ls` and what the letter holds."""

    headers: dict[str, str]
    data: Any
    body_base64: str | None
    """The body when it is no JSON; then `data` is None."""
    hindrance: str | None
    """Why giving it back cannot help."""


def add_verbs(verbs: Verbs) -> None:
    listed = verbs.add("ls", list_letters, "everything that was given up")
    listed.add_argument("--consumer", help="only of this one: track-unfurl.links")
    shown = verbs.add("show", show_letter, "one letter: headers, reason, body, what to do")
    shown.add_argument("number", help="as in the list")
    again = verbs.add("retry", retry_letters, "publish it again where it came from")
    again.add_argument("number", nargs="?", help="as in the list")
    again.add_argument("--all", action="store_true", help="every letter there is now")
    again.add_argument("--consumer", help="with --all: only of this one")
    again.add_argument("--yes", action="store_true", help="without being asked")
    dropped = verbs.add("drop", drop_letter, "delete one that nothing can help")
    dropped.add_argument("number", help="as in the list")
    dropped.add_argument("--yes", action="store_true", help="without being asked")


def list_letters(options: argparse.Namespace) -> int:
    """What consumers gave up, and what the broker gave up without them. 1 when there is nothing."""
    letters = asyncio.run(_list(options))
    if options.json:
        terminal.show_json(letters)
    elif letters:
        _show_list(letters)
    else:
        terminal.complain("no dead letters")
    return 0 if letters else 1


def show_letter(options: argparse.Namespace) -> int:
    found, hindrance = asyncio.run(_open(options))
    if options.json:
        data = read_json(found.body)
        is_json = data is not msgspec.UNSET
        opened = Opened(
            **msgspec.structs.asdict(found.letter),
            headers=found.headers,
            data=data if is_json else None,
            body_base64=None if is_json else base64.b64encode(found.body).decode(),
            hindrance=hindrance,
        )
        terminal.show_json(opened)
    else:
        _show(found, hindrance)
    return 0


def retry_letters(options: argparse.Namespace) -> int:
    """Publish letters again to the subject they had, under their own event id, and delete them.

    Safe to repeat. A letter that would only die again is refused, with the reason. 1 when one was.
    """
    if (options.number is None) is not options.all:
        raise WrongUsage("say the number of one letter, or --all")
    if options.consumer and not options.all:
        raise WrongUsage("--consumer goes with --all")
    retried = asyncio.run(_retry(options))
    if options.json:
        terminal.show_json(retried)
    for row in [] if options.json else retried:
        terminal.say(f"{row.number}  {SAID[row.outcome]} {row.detail}")
    if not retried:
        terminal.complain("no dead letters")
    is_done = all(row.outcome in ("given_back", "was_given_back") for row in retried)
    return 0 if retried and is_done else 1


def drop_letter(options: argparse.Namespace) -> int:
    """Nobody gets it any more; what it should have done, somebody has to do otherwise."""
    asyncio.run(_drop(options))
    terminal.say(f"{options.number}  deleted")
    return 0


async def _list(options: argparse.Namespace) -> list[Letter]:
    target = find_target(options.state, nats_url=options.nats_url)
    async with open_broker(target) as broker:
        letters = await every_letter(broker, await read_pointers(broker))
        return _of_consumer(letters, options.consumer)


def _of_consumer(letters: Sequence[Letter], consumer: str | None) -> list[Letter]:
    if consumer is None:
        return list(letters)
    names = sorted({*declared(), *(letter.consumer for letter in letters)})
    if consumer not in names:
        raise WrongUsage(f"no consumer {consumer}{nearest(consumer, names)}")
    return [letter for letter in letters if letter.consumer == consumer]


async def _open(options: argparse.Namespace) -> tuple[Found, str | None]:
    target = find_target(options.state, nats_url=options.nats_url)
    async with open_broker(target) as broker:
        found = await _find(broker, options.number, await read_pointers(broker))
        return found, retry.why_not(found, await retry.last_snapshot(broker, found))


async def _find(broker: Broker, number: str, pointers: Pointers) -> Found:
    found = await find_letter(broker, number, pointers)
    if found is None:
        raise CommandFailed(f"no dead letter {number}: `seda dlq ls` lists what there is")
    return found


async def _retry(options: argparse.Namespace) -> list[retry.Retried]:
    target = find_target(options.state, nats_url=options.nats_url)
    async with open_broker(target, OPERATOR) as broker:
        pointers = await read_pointers(broker)
        if not options.all:
            return [await retry.give_back(broker, await _find(broker, options.number, pointers))]
        # Only what is there now: one that dies again comes back as a new letter.
        letters = _of_consumer(await every_letter(broker, pointers), options.consumer)
        if letters:
            _confirm(options, f"give {len(letters)} dead letters back")
        return [row async for row in _give_back_all(broker, letters, pointers)]


async def _give_back_all(
    broker: Broker, letters: Sequence[Letter], pointers: Pointers
) -> AsyncIterator[retry.Retried]:
    """Up to the first that cannot be published: the next would only fail too, and slowly."""
    for letter in letters:
        found = await find_letter(broker, letter.number, pointers)
        if found is None:
            continue  # somebody else has dealt with it meanwhile
        try:
            yield await retry.give_back(broker, found)
        except CommandFailed as failure:
            yield retry.Retried(number=letter.number, outcome="failed", detail=str(failure))
            return


async def _drop(options: argparse.Namespace) -> None:
    target = find_target(options.state, nats_url=options.nats_url)
    async with open_broker(target, OPERATOR) as broker:
        found = await _find(broker, options.number, await read_pointers(broker))
        _confirm(options, f"delete the dead letter {options.number} for good")
        await retry.clear(broker, found)


def _confirm(options: argparse.Namespace, what: str) -> None:
    if not options.yes and not terminal.ask(f"{what}?"):
        raise WrongUsage(f"not done: --yes lets me {what}")


def _show_list(letters: Sequence[Letter]) -> None:
    now = utc_now()
    rows = [
        (
            letter.number,
            clock_time(letter.time, now=now),
            letter.consumer,
            letter.type or "-",
            str(letter.attempts),
            letter.event_id or "-",
            letter.reason,
        )
        for letter in letters
    ]
    headings = ("number", "time (UTC)", "consumer", "type", "attempts", "event", "reason")
    terminal.table(headings, rows, free_text=True)
    terminal.complain("`seda dlq show NUMBER` opens one; `seda dlq retry NUMBER` gives it back")


def _show(found: Found, hindrance: str | None) -> None:
    letter = found.letter
    facts = {
        "consumer": letter.consumer,
        "given up": f"{letter.time:%Y-%m-%d %H:%M:%S} UTC, after {letter.attempts} attempts",
        "reason": letter.reason,
        "type": letter.type or "-",
        "event": letter.event_id or "-",
        "came from": f"{letter.stream or '?'} {letter.sequence}, {letter.subject or 'gone'}",
        "trace": trace_of(found.headers) or "-",
    }
    terminal.say(f"dead letter {letter.number}")
    terminal.say()
    for name, value in facts.items():
        terminal.say(f"  {name:<10} {value}")
    terminal.say()
    terminal.say("  headers")
    for name, value in sorted(found.headers.items()):
        terminal.say(f"    {name}: {value}")
    terminal.say()
    terminal.say(f"  body, {len(found.body)} bytes")
    for line in _pretty(found.body):
        terminal.say(f"    {line}")
    terminal.say()
    number = letter.number
    if hindrance is None:
        terminal.say(f"  next: `seda dlq retry {number}` gives it back")
    else:
        terminal.say(f"  giving it back cannot help: {hindrance}")
        terminal.say(f"  next: `seda dlq drop {number}` deletes it")


def _pretty(body: bytes) -> list[str]:
    """Lines of the body, as JSON when it is some; cut when it is long."""
    text = body.decode(errors="backslashreplace")
    if read_json(body) is not msgspec.UNSET:
        text = msgspec.json.format(body, indent=2).decode()
    lines = text[:BODY_SHOWN_MAX].split("\n")
    if len(text) > BODY_SHOWN_MAX:
        lines.append(f"... {len(text) - BODY_SHOWN_MAX} more; --json has all of it")
    return lines
