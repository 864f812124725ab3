"""What an entry of a room's log is, and the one form in which clients see it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts.realtime import EventFrame

SEQ_MAX = 2**53
"""What every reader of JSON holds exactly; a client's number above it is no place in a log."""

SIGNAL_BYTES_MAX = 64 * 1024
"""Of several frames together; one alone may be larger, and the broker takes a MiB."""

DELETED = "message.deleted"
WORDS = ("text", "mentions", "links", "cards", "card", "url")
"""What a deletion takes out of the data of every earlier entry about the message."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, before it has its number.

    `author_id` names whose card readers are shown beside `data`; `message_id` lets a deletion find
    and empty what was said earlier.
    """

    type: str
    data: dict[str, Any]
    message_id: UUID | None = None
    author_id: UUID | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A change with its place. `acl` is the room's rights epoch at that place."""

    room_id: UUID
    epoch: str
    seq: int
    acl: int
    change: Change
    at: datetime


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a room stands."""

    epoch: str
    seq: int
    acl: int


_encoder = msgspec.json.Encoder()


def frame(entry: Entry, author: Mapping[str, Any] | None) -> EventFrame:
    data = entry.change.data
    if entry.change.author_id is not None:
        data = {**data, "author": author}
    return EventFrame(
        room=entry.room_id,
        ep=entry.epoch,
        seq=entry.seq,
        acl=entry.acl,
        t=entry.change.type,
        ts=int(entry.at.timestamp() * 1000),
        d=data,
    )


def encode_event(event: EventFrame) -> bytes:
    return _encoder.encode(event)


class _EncodedFrame(msgspec.Struct, frozen=True, tag_field="op", tag="ev"):
    """An EventFrame whose data is encoded already."""

    room: UUID
    ep: str
    seq: int
    acl: int
    t: str
    ts: int
    d: msgspec.Raw


def signals_of(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The frames of one room in as few signals as their size allows, in their order. A frame is
    one line: JSON writes a line break inside a text as an escape.
    """
    lines: list[bytes] = []
    size = 0
    for line in frames:
        if lines and size + len(line) > SIGNAL_BYTES_MAX:
            yield b"\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield b"\n".join(lines)


def frames_of(signal: bytes) -> list[bytes]:
    return signal.split(b"\n")


def encode_created(
    *,
    room_id: UUID,
    epoch: str,
    seq: int,
    acl: int,
    at: datetime,
    data: bytes,
    author: msgspec.Raw,
) -> bytes:
    """The frame of a new message from what the log keeps of it, so that it is encoded once.

    `data` is the log's object; readers are shown the author's card as one more member of it.
    """
    shown = msgspec.Raw(b'%b,"author":%b}' % (data[:-1], bytes(author)))
    return _encoder.encode(
        _EncodedFrame(
            room=room_id,
            ep=epoch,
            seq=seq,
            acl=acl,
            t="message.created",
            ts=int(at.timestamp() * 1000),
            d=shown,
        )
    )
