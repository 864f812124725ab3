"""`seda events`: which events there are, what one means, and what is being said now."""

import argparse
import fnmatch

import msgspec
from seda_contracts.registry import BY_TYPE, REGISTRY, Entry
from seda_contracts.streams import DAY_SECONDS, Stream

from seda_cli import tail, terminal
from seda_cli.documentation import (
    EXAMPLES,
    Field,
    delivery_class_meaning,
    fields_of,
    meaning_of,
)
from seda_cli.failure import WrongUsage
from seda_cli.services import nearest
from seda_cli.words import Verbs

KINDS = {"evt": "event", "cmd": "command", "state": "snapshot"}


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda events list --json`."""

    type: str
    kind: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    stream: str
    delivery_class: str
    personal_data: bool


class Description(EventType, frozen=True, kw_only=True):
    """The keys of `seda events describe --json`: those of the list and what follows."""

    meaning: str
    subject: str
    key: str
    retention: str
    delivery_class_meaning: str
    fields: list[Field]
    example: msgspec.Raw | None


def add_verbs(verbs: Verbs) -> None:
    verbs.add("list", list_types, "every event, command and snapshot, and who takes it")
    describe = verbs.add("describe", describe_type, "what one means, field by field")
    describe.add_argument("type", help="as in the list: chat.message.sent.v1")
    tail.add_options(verbs.add("tail", tail.run, "print events as they are said"))


def list_types(options: argparse.Namespace) -> int:
    rows = [_event_type(entry) for entry in REGISTRY]
    if options.json:
        terminal.show_json(rows)
        return 0
    terminal.table(
        ("type", "kind", "class", "stream", "producers", "consumers"),
        [
            (
                row.type,
                row.kind,
                row.delivery_class,
                row.stream,
                ", ".join(row.producers),
                ", ".join(row.consumers) or "-",
            )
            for row in rows
        ],
        free_text=False,
    )
    return 0


def describe_type(options: argparse.Namespace) -> int:
    entry = find_type(options.type)
    contract = entry.contract
    example = EXAMPLES / contract.TYPE / "full.json"
    description = Description(
        **msgspec.structs.asdict(_event_type(entry)),
        meaning=meaning_of(contract),
        subject=contract.subject_filter().replace("*", f"<{contract.KEY}>"),
        key=contract.KEY,
        retention=retention(entry.stream),
        delivery_class_meaning=delivery_class_meaning(entry.delivery_class),
        fields=fields_of(contract),
        example=msgspec.Raw(example.read_bytes()) if example.exists() else None,
    )
    if options.json:
        terminal.show_json(msgspec.json.decode(msgspec.json.encode(description)))
    else:
        _show(description)
    return 0


def find_type(word: str) -> Entry:
    """By type or by a subject of it. Raises WrongUsage with what was probably meant."""
    for entry in REGISTRY:
        contract = entry.contract
        if word == contract.TYPE or fnmatch.fnmatchcase(word, contract.subject_filter()):
            return entry
    raise WrongUsage(f"no event {word}{nearest(word, list(BY_TYPE))}")


def retention(stream: Stream) -> str:
    """How long the stream keeps a message."""
    if stream.latest_only:
        return "the latest of each key, for ever"
    if not stream.max_age_seconds:
        return "for ever"
    days = stream.max_age_seconds // DAY_SECONDS
    length = "a day" if days == 1 else f"{days} days"
    return f"until it is done, at most {length}" if stream.work_queue else length


def _event_type(entry: Entry) -> EventType:
    return EventType(
        type=entry.contract.TYPE,
        kind=KINDS[entry.contract.KIND],
        producers=entry.producers,
        consumers=entry.consumers,
        stream=entry.stream.name,
        delivery_class=entry.delivery_class,
        personal_data=entry.personal_data,
    )


def _show(event: Description) -> None:
    terminal.say(f"{event.type}  ({event.kind})")
    terminal.say()
    for line in event.meaning.splitlines():
        terminal.say(f"  {line}".rstrip())
    terminal.say()
    facts = {
        "subject": event.subject,
        "key": f"{event.key}: one key is delivered in order",
        "producers": ", ".join(event.producers),
        "consumers": ", ".join(event.consumers) or "none yet",
        "stream": f"{event.stream}, kept {event.retention}",
        "class": f"{event.delivery_class}: {event.delivery_class_meaning}",
        "personal data": "yes" if event.personal_data else "no",
    }
    for name, value in facts.items():
        terminal.say(f"  {name:<14} {value}")
    terminal.say()
    rows = [
        (f"  {field.name}", field.type, "yes" if field.required else "no", field.meaning)
        for field in event.fields
    ]
    headings = ("  field", "type", "required", "meaning")
    terminal.table(headings, [[" ".join(c.splitlines()) for c in r] for r in rows], free_text=False)
    if event.example is not None:
        terminal.say()
        terminal.say("  an example")
        for line in msgspec.json.format(bytes(event.example), indent=2).decode().splitlines():
            terminal.say(f"  {line}")
