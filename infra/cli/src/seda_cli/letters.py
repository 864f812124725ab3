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


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """An advisory of the broker, as far as it is needed."""

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int = 0
    reason: str = ""


async def every_letter(broker: Broker) -> list[Letter]:
    """Letters, then what has none: oldest first. Bodies are not kept, so that many cost little."""
    letters = [_letter(message) async for message in stored.read(broker, LETTERS)]
    buried = {letter.place for letter in letters}
    pointed = {}
    async for message in stored.read(broker, POINTERS):
        pointer = _pointer(message)
        if pointer is not None and _place(pointer) not in buried:
            pointed[_place(pointer)] = (message, pointer)
    alone = [
        _pointed(message, pointer, await _origin(broker, pointer))
        for message, pointer in pointed.values()
    ]
    return sorted([*letters, *alone], key=lambda letter: letter.time)


async def find_letter(broker: Broker, number: str) -> Found | None:
    """By the number `ls` prints. None when there is none (any more)."""
    if number.startswith(POINTER_MARK):
        return await _find_pointed(broker, number.removeprefix(POINTER_MARK))
    message = await stored.read_one(broker, LETTERS, int(number)) if number.isdecimal() else None
    if message is None:
        return None
    letter = _letter(message)
    pointers = await _pointers_to(broker, letter.place)
    return Found(letter=letter, headers=message.headers, body=message.body, pointers=pointers)


async def _find_pointed(broker: Broker, number: str) -> Found | None:
    message = await stored.read_one(broker, POINTERS, int(number)) if number.isdecimal() else None
    pointer = _pointer(message) if message else None
    if message is None or pointer is None:
        return None
    origin = await _origin(broker, pointer)
    return Found(
        letter=_pointed(message, pointer, origin),
        headers=origin.headers if origin else {},
        body=origin.body if origin else b"",
        pointers=await _pointers_to(broker, _place(pointer)),
    )


async def _pointers_to(broker: Broker, place: tuple[str, int]) -> tuple[int, ...]:
    """A message may be pointed at twice: given up, and ended afterwards."""
    found = []
    async for message in stored.read(broker, POINTERS):
        pointer = _pointer(message)
        if pointer is not None and _place(pointer) == place:
            found.append(message.sequence)
    return tuple(found)


async def _origin(broker: Broker, pointer: Pointer) -> stored.Stored | None:
    return await stored.read_one(broker, pointer.stream, pointer.stream_seq)


def _place(pointer: Pointer) -> tuple[str, int]:
    names = {durable_name(consumer): consumer for consumer in declared()}
    return names.get(pointer.consumer, pointer.consumer), pointer.stream_seq


def _pointer(message: stored.Stored) -> Pointer | None:
    try:
        return msgspec.json.decode(message.body, type=Pointer)
    except msgspec.DecodeError:
        return None


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
        attempts=_count(headers.get("seda-dead-attempts")),
        subject=subject,
        stream=declaration.stream if declaration else "",
        sequence=_count(headers.get("seda-dead-sequence")),
    )


def _pointed(message: stored.Stored, pointer: Pointer, origin: stored.Stored | None) -> Letter:
    consumer, sequence = _place(pointer)
    reason = pointer.reason or "the broker gave up: nobody settled it, as when processes die of it"
    return Letter(
        number=f"{POINTER_MARK}{message.sequence}",
        time=message.stored_at,
        consumer=consumer,
        type=type_of(origin.subject) if origin else "",
        event_id=origin.headers.get("ce-id", "") if origin else "",
        reason=reason,
        attempts=pointer.deliveries,
        subject=origin.subject if origin else "",
        stream=pointer.stream,
        sequence=sequence,
    )


def _count(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 20 else 0
