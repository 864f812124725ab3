"""The newest events of one room as they were sent, so that who comes back needs no database.

The log is the truth and this a piece of its end: without a hole, bounded in events and bytes. What
a deletion empties in the log is emptied here before the deletion itself is kept. The card of an
author is the one of the moment the event was sent; a changed card travels as the state `author`.
"""

from collections import deque
from collections.abc import Iterable
from itertools import islice

import msgspec
from seda_contracts.realtime import EventFrame

from chat_realtime.log.domain import DELETED, WORDS, encode_event

_decode = msgspec.json.Decoder(EventFrame).decode


class Ring:
    """Call `append` with every event of the room, in order."""

    __slots__ = ("_bytes", "_bytes_max", "_deleted", "_events_max", "_payloads", "head")

    def __init__(self, *, head: int, events_max: int, bytes_max: int) -> None:
        self.head = head
        """The newest event that was given, or the place in the log where this began."""
        self._events_max = events_max
        self._bytes_max = bytes_max
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
        self._bytes += len(payload)
        self.head = seq
        self._shrink()

    def restart(self, head: int) -> None:
        """Events were left out: what came before them is no use any more."""
        self._payloads.clear()
        self._deleted.clear()
        self._bytes = 0
        self.head = head

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
                return
            self._payloads.appendleft(payload)
            self._bytes += len(payload)

    def between(self, after_seq: int, up_to_seq: int) -> list[bytes] | None:
        """The events after the one and up to the other; None when some of them are not here."""
        if after_seq < self.start or up_to_seq > self.head:
            return None
        start = self.start
        return list(islice(self._payloads, after_seq - start, max(up_to_seq, after_seq) - start))

    def _forget(self, message_id: str) -> None:
        wanted = message_id.encode()
        for index, payload in enumerate(self._payloads):
            if wanted in payload:
                self._payloads[index] = emptied = _without_words(payload, message_id)
                self._bytes += len(emptied) - len(payload)

    def _shrink(self) -> None:
        while self._payloads and (
            len(self._payloads) > self._events_max or self._bytes > self._bytes_max
        ):
            self._bytes -= len(self._payloads.popleft())
        while self._deleted and self._deleted[0][0] <= self.start:
            self._deleted.popleft()


def _about(event: EventFrame) -> set[str]:
    """The message that an event speaks of. A reply names its parent too, and is not about it."""
    return {str(event.d[name]) for name in ("id", "message_id") if name in event.d}


def _without_words(payload: bytes, message_id: str) -> bytes:
    event = _decode(payload)
    if message_id not in _about(event):
        return payload
    kept = {name: value for name, value in event.d.items() if name not in WORDS}
    return encode_event(msgspec.structs.replace(event, d=kept))
