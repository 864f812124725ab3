"""The newest events of one room as they were sent, so that who comes back needs no database.

The log is the truth and this a piece of its end: without a hole, bounded in events and bytes. What
a deletion empties in the log is emptied here before the deletion itself is kept. The card of an
author is the one of the moment the event was sent; a changed card travels as the state `author`.

All rings of a process together have a bound too. Above it those give up their oldest events that
nobody has come back to for the longest; who comes back to one of them is served from the log.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import msgspec
from seda_contracts.realtime import EventFrame

from chat_realtime.log.domain import DELETED, WORDS, encode_event

_decode = msgspec.json.Decoder(EventFrame).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOptions:
    """How much is kept of each followed room, and of all of them together."""

    ring_events_max: int = 512
    ring_bytes_max: int = 512 * 1024
    rings_bytes_max: int = 64 * 1024 * 1024


class Rings:
    """The rings of one process, by when they were read last."""

    __slots__ = ("_by_reading", "bytes", "bytes_max", "options")

    def __init__(self, options: RingOptions) -> None:
        self.options = options
        self.bytes = 0
        self.bytes_max = options.rings_bytes_max
        self._by_reading: OrderedDict[Ring, None] = OrderedDict()

    def open(self, *, head: int) -> "Ring":
        ring = Ring(self, head=head)
        self._by_reading[ring] = None
        return ring

    def close(self, ring: "Ring") -> None:
        ring.restart(ring.head)
        self._by_reading.pop(ring, None)

    def mark_read(self, ring: "Ring") -> None:
        if ring in self._by_reading:
            self._by_reading.move_to_end(ring)

    def shrink(self) -> None:
        """Down to seven eighths: rings that are empty already are passed over seldom then."""
        wanted = self.bytes_max * 7 // 8
        for ring in self._by_reading:
            if self.bytes <= wanted:
                return
            ring.give_up(self.bytes - wanted)


class Ring:
    """Call `append` with every event of the room, in order."""

    __slots__ = (
        "_bytes",
        "_bytes_max",
        "_deleted",
        "_events_max",
        "_payloads",
        "_rings",
        "head",
        "is_filled",
    )

    def __init__(self, rings: Rings, *, head: int) -> None:
        self.head = head
        """The newest event that was given, or the place in the log where this began."""
        self.is_filled = False
        """It reaches back as far as it can, or soon will: no use in reading the log once more."""
        self._rings = rings
        self._events_max = rings.options.ring_events_max
        self._bytes_max = rings.options.ring_bytes_max
        self._payloads: deque[bytes] = deque()
        self._bytes = 0
        self._deleted: deque[tuple[int, str]] = deque()
        """Deletions among the payloads, for what is filled in behind them."""

    def __len__(self) -> int:
        return len(self._payloads)

    @property
    def start(self) -> int:
        """A cursor here or later can be served."""
        return self.head - len(self._payloads)

    def append(self, payload: bytes, *, seq: int, kind: str) -> None:
        if seq != self.head + 1:
            self.restart(seq - 1)
        if kind == DELETED:
            message_id = str(_decode(payload).d.get("message_id"))
            self._forget(message_id)
            self._deleted.append((seq, message_id))
        self._payloads.append(payload)
        self._weigh(len(payload))
        self.head = seq
        self._shrink()
        if self._rings.bytes > self._rings.bytes_max:
            self._rings.shrink()

    def restart(self, head: int) -> None:
        """Events were left out: what came before them is no use any more."""
        self._payloads.clear()
        self._deleted.clear()
        self._weigh(-self._bytes)
        self.head = head
        self.is_filled = False

    def give_up(self, bytes_wanted: int) -> None:
        """The oldest events, as many as weigh so much, for the good of other rooms."""
        left = max(0, self._bytes - bytes_wanted)
        while self._bytes > left:
            self._weigh(-len(self._payloads.popleft()))
            self.is_filled = False
        self._forget_deletions()

    def fill(self, events: Iterable[EventFrame]) -> None:
        """Put what the log has before the oldest we have, as far as it fits.

        The log may have been read before a deletion that we know by now.
        """
        older = [event for event in events if event.seq <= self.start]
        if not older or older[-1].seq != self.start:
            return
        deleted = {message_id for _, message_id in self._deleted}
        for event in reversed(older):
            payload = encode_event(event)
            for message_id in _about(event) & deleted:
                payload = _without_words(payload, message_id)
            if len(self) >= self._events_max or self._bytes + len(payload) > self._bytes_max:
                break
            self._payloads.appendleft(payload)
            self._weigh(len(payload))
        if self._rings.bytes > self._rings.bytes_max:
            self._rings.shrink()

    def between(self, after_seq: int, up_to_seq: int) -> list[bytes] | None:
        """The events after the one and up to the other; None when some of them are not here."""
        self._rings.mark_read(self)
        if after_seq < self.start or up_to_seq > self.head:
            return None
        start = self.start
        return list(islice(self._payloads, after_seq - start, max(up_to_seq, after_seq) - start))

    def _forget(self, message_id: str) -> None:
        wanted = message_id.encode()
        for index, payload in enumerate(self._payloads):
            if wanted in payload:
                self._payloads[index] = emptied = _without_words(payload, message_id)
                self._weigh(len(emptied) - len(payload))

    def _shrink(self) -> None:
        while self._payloads and (
            len(self._payloads) > self._events_max or self._bytes > self._bytes_max
        ):
            self._weigh(-len(self._payloads.popleft()))
        self._forget_deletions()

    def _forget_deletions(self) -> None:
        while self._deleted and self._deleted[0][0] <= self.start:
            self._deleted.popleft()

    def _weigh(self, more_bytes: int) -> None:
        self._bytes += more_bytes
        self._rings.bytes += more_bytes


def _about(event: EventFrame) -> set[str]:
    """The message that an event speaks of. A reply names its parent too, and is not about it."""
    return {str(event.d[name]) for name in ("id", "message_id") if name in event.d}


def _without_words(payload: bytes, message_id: str) -> bytes:
    event = _decode(payload)
    if message_id not in _about(event):
        return payload
    kept = {name: value for name, value in event.d.items() if name not in WORDS}
    return encode_event(msgspec.structs.replace(event, d=kept))
