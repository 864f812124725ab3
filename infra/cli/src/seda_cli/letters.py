"""What was given up: by a consumer, which leaves a dead letter, or by the broker, which leaves a
pointer to the message in the stream it came from.
"""

from datetime import datetime

import msgspec
from seda_contracts.registry import durable_name

from seda_cli import stored
from seda_cli.broker import Broker
from seda_cli.consumers import declared
from seda_cli.sighting import type_of

LETTERS = "DLQ"
POINTERS = "ADVISORY"
POINTER_MARK = "a"
"""Begins the number of what only the broker gave up, because two streams number alike."""
SUBJECT = "seda.dlq."


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda dlq ls --json`."""

    number: str
    """What `show`, `retry` and `drop` take."""
    time: datetime
    """When it was given up."""
    consumer: str
    type: str
    event_id: str
    reason: str
    attempts: int
    subject: str
    """What it had been published to; empty when the message is gone."""
    stream: str
    sequence: int
    """Its place in the stream it came from."""

    @property
    def place(self) -> tuple[str, int]:
        """One delivery that failed: a letter and a pointer with the same place are one."""
        return self.consumer, self.sequence


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A letter with what it holds."""

    letter: Letter
    headers: dict[str, str]
    body: bytes
    pointers: tuple[int, ...]
    """Places in ADVISORY that tell of the same failure, to be cleared along with it."""


class Advisory(msgspec.Struct, frozen=True):
    """What the broker says when it gives a message up, as far as it is needed."""

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int = 0
    reason: str = "the broker gave up: nobody settled it, as when processes die of it"


class Pointer(msgspec.Struct, frozen=True):
    """An advisory, its place and its time."""

    place: int
    time: datetime
    advisory: Advisory


Pointers = dict[tuple[str, int], list[Pointer]]
"""By consumer and place of the message: a message may be given up and ended afterwards."""


async def read_pointers(broker: Broker) -> Pointers:
    names = {durable_name(consumer): consumer for consumer in declared()}
    found: Pointers = {}
    async for message in stored.read(broker, POINTERS):
        try:
            advisory = msgspec.json.decode(message.body, type=Advisory)
        except msgspec.DecodeError:
            continue  # whatever else somebody has put there points at nothing
        consumer = names.get(advisory.consumer, advisory.consumer)
        pointer = Pointer(message.sequence, message.stored_at, advisory)
        found.setdefault((consumer, advisory.stream_seq), []).append(pointer)
    return found


async def every_letter(broker: Broker, pointers: Pointers) -> list[Letter]:
    """Letters, and what has none: oldest first. Bodies are not kept, so that many cost little."""
    letters = [_letter(message) async for message in stored.read(broker, LETTERS)]
    buried = {letter.place for letter in letters}
    for place, told in pointers.items():
        if place not in buried:
            letters.append(_pointed(place, told[-1], await _origin(broker, told[-1])))
    return sorted(letters, key=lambda letter: letter.time)


async def find_letter(broker: Broker, number: str, pointers: Pointers) -> Found | None:
    """By the number `ls` prints. None when there is none (any more)."""
    if number.startswith(POINTER_MARK):
        return await _find_pointed(broker, number.removeprefix(POINTER_MARK), pointers)
    message = await stored.read_one(broker, LETTERS, int(number)) if _is_place(number) else None
    if message is None:
        return None
    letter = _letter(message)
    return Found(
        letter=letter,
        headers=message.headers,
        body=message.body,
        pointers=tuple(pointer.place for pointer in pointers.get(letter.place, ())),
    )


async def _find_pointed(broker: Broker, number: str, pointers: Pointers) -> Found | None:
    for place, told in pointers.items():
        for pointer in told:
            if str(pointer.place) == number:
                origin = await _origin(broker, pointer)
                return Found(
                    letter=_pointed(place, pointer, origin),
                    headers=origin.headers if origin else {},
                    body=origin.body if origin else b"",
                    pointers=tuple(other.place for other in told),
                )
    return None


async def _origin(broker: Broker, pointer: Pointer) -> stored.Stored | None:
    return await stored.read_one(broker, pointer.advisory.stream, pointer.advisory.stream_seq)


def _letter(message: stored.Stored) -> Letter:
    headers = message.headers
    consumer = message.subject.removeprefix(SUBJECT)
    subject = headers.get("seda-dead-subject", "")
    declaration = declared().get(consumer)
    return Letter(
        number=str(message.sequence),
        time=message.stored_at,
        consumer=consumer,
        type=type_of(subject),
        event_id=headers.get("ce-id", ""),
        reason=headers.get("seda-dead-reason", ""),
        attempts=_count(headers.get("seda-dead-attempts", "")),
        subject=subject,
        stream=declaration.stream if declaration else "",
        sequence=_count(headers.get("seda-dead-sequence", "")),
    )


def _pointed(place: tuple[str, int], pointer: Pointer, origin: stored.Stored | None) -> Letter:
    consumer, sequence = place
    return Letter(
        number=f"{POINTER_MARK}{pointer.place}",
        time=pointer.time,
        consumer=consumer,
        type=type_of(origin.subject) if origin else "",
        event_id=origin.headers.get("ce-id", "") if origin else "",
        reason=pointer.advisory.reason,
        attempts=pointer.advisory.deliveries,
        subject=origin.subject if origin else "",
        stream=pointer.advisory.stream,
        sequence=sequence,
    )


def _is_place(text: str) -> bool:
    """Streams number with 64 bits."""
    return text.isdecimal() and text.isascii() and len(text) < 20


def _count(text: str) -> int:
    return int(text) if _is_place(text) else 0
