"""The frames of the socket as server-sent events, and the cursors that their ids hold. Pure.

Every frame is one event of the default type, with the frame as its data. The id of an event holds
the cursors of all rooms of the stream, so any process can go on from it.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec
from seda_contracts import realtime

from chat_realtime.live.domain import CursorInvalid
from chat_realtime.log.domain import SEQ_MAX

ID_LENGTH_MAX = 16_384
KEEPALIVE = b":\n\n"
_EPOCH = re.compile(r"[A-Za-z0-9_-]{1,32}")
Cursors = dict[UUID, realtime.Cursor | None]


class _Glance(msgspec.Struct):
    op: str = ""
    room: UUID | None = None
    rooms: list[realtime.RoomReady] = []
    ep: str = ""
    seq: int = 0
    head: int = 0


_glance = msgspec.json.Decoder(_Glance).decode


class Places:
    """How far a stream has come in each of its rooms: what its client would resume from."""

    __slots__ = ("_places", "_with_holes")

    def __init__(self) -> None:
        self._places: dict[UUID, realtime.Cursor] = {}
        self._with_holes: set[UUID] = set()
        """Rooms of which something was left out: their place waits before the hole."""

    def event(self, payload: bytes) -> bytes:
        """A frame as it is sent; those that move a place say all places."""
        if not self._moves(_glance(payload)):
            return b"data: %b\n\n" % payload
        return b"id: %b\ndata: %b\n\n" % (self._id(), payload)

    def _moves(self, frame: _Glance) -> bool:
        if frame.op == "ready":
            for room in frame.rooms:
                if room.result != "gone":
                    self._places[room.room] = realtime.Cursor(room.ep, room.head - room.n)
            return True
        known = None if frame.room is None else self._places.get(frame.room)
        if known is None or frame.room is None:
            return False
        if frame.op == "lagged":
            self._with_holes.add(frame.room)
        elif frame.op in ("ev", "live") and frame.room not in self._with_holes:
            self._places[frame.room] = realtime.Cursor(known.ep, frame.seq or frame.head)
            return True
        return False

    def _id(self) -> bytes:
        return ",".join(
            f"{_short(room)}.{place.ep}.{place.seq}" for room, place in self._places.items()
        ).encode()


def close_event(code: int, reason: str) -> bytes:
    """The last event of a stream, of the type `close`: what a socket would be closed with."""
    body = msgspec.json.encode({"code": code, "reason": reason})
    return b"event: close\ndata: %b\n\n" % body


def cursors_of(rooms: Sequence[str], last_event_id: str | None) -> Cursors:
    """The rooms that a request names, each with the newest place known of it.

    Raises CursorInvalid.
    """
    found: Cursors = {}
    for named in rooms:
        room, *place = named.split(":")
        found[_id_of(room)] = _cursor(place) if place else None
    for room_id, cursor in _held_by(last_event_id or ""):
        if room_id in found:
            found[room_id] = cursor
    return found


def payloads_of(frames: bytes) -> Iterator[bytes]:
    """The messages in a run of the server's own WebSocket frames: text, unmasked, whole."""
    at = 0
    while at < len(frames):
        length, start = frames[at + 1], at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(frames[start : start + size], "big")
            start += size
        at = start + length
        yield frames[start:at]


def _held_by(last_event_id: str) -> Iterator[tuple[UUID, realtime.Cursor]]:
    if len(last_event_id) > ID_LENGTH_MAX:
        raise CursorInvalid
    for part in filter(None, last_event_id.split(",")):
        room, *place = part.split(".")
        yield _long(room), _cursor(place)


def _cursor(place: Sequence[str]) -> realtime.Cursor:
    if len(place) != 2 or not _EPOCH.fullmatch(place[0]):
        raise CursorInvalid
    seq = place[1]
    if not seq.isascii() or not seq.isdigit() or len(seq) > 16 or int(seq) > SEQ_MAX:
        raise CursorInvalid
    return realtime.Cursor(place[0], int(seq))


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CursorInvalid from None


def _short(room: UUID) -> str:
    return base64.urlsafe_b64encode(room.bytes).decode().rstrip("=")


def _long(text: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
    except ValueError:
        raise CursorInvalid from None
