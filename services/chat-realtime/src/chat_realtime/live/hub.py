"""The sockets of this process, by room and by person, and the fan-out to them.

A frame is built once per room. All frames of one event-loop turn leave in one write per member.
A member that stops reading is taken off the list: durable events are not kept for it (the room's
log has them), ephemeral ones are dropped, of each state the latest is kept. When it reads again it
is told once where its hole begins.

The hub knows no database and no broker; what it is given arrives in order (`feed.py` sees to it).
"""

from collections.abc import Callable, Iterator
from typing import Protocol
from uuid import UUID

from seda_contracts import realtime

from chat_realtime.live.framing import encode, text_frame

BATCH_BYTES_MAX = 64 * 1024
"""One write above this would push every member over its high-water mark at once."""
STATES_KEPT_MAX = 64

Write = Callable[[bytes], None]
CallSoon = Callable[[Callable[[], None]], object]
Changed = Callable[[UUID], None]


class Member(Protocol):
    """A socket as the hub sees it. `write` takes whole frames and must not raise."""

    @property
    def write(self) -> Write: ...


class Lag:
    """What a member that does not read will be told when it does."""

    __slots__ = ("from_seq", "states")

    def __init__(self, from_seq: int) -> None:
        self.from_seq = from_seq
        self.states: dict[str, bytes] = {}


class Audience:
    """The local members of one room, and the frames waiting for the end of this turn."""

    __slots__ = (
        "_call_soon",
        "_pending",
        "_pending_bytes",
        "_scheduled",
        "fast",
        "head",
        "joining",
        "room",
        "slow",
        "written_seq",
    )

    def __init__(self, room: UUID, *, head: int, call_soon: CallSoon) -> None:
        self.room = room
        self.head = head
        """The last durable event accepted for this room."""
        self.written_seq = head
        """The last durable event handed to the transports."""
        self.fast: dict[Member, Write] = {}
        self.slow: dict[Member, Lag] = {}
        self.joining: dict[Member, int] = {}
        """Members that read the log further than we have heard, and up to where."""
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._scheduled = False
        self._call_soon = call_soon

    def __len__(self) -> int:
        return len(self.fast) + len(self.slow) + len(self.joining)

    def __iter__(self) -> Iterator[Member]:
        yield from (*self.fast, *self.slow, *self.joining)

    def append(self, frame: bytes) -> None:
        if self._pending_bytes + len(frame) > BATCH_BYTES_MAX:
            self.flush()
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush_turn)

    def flush(self) -> None:
        if not self._pending:
            return
        joined = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self.written_seq = self.head
        # A snapshot: a transport may call pause_writing inside write, which changes `fast`.
        for write in list(self.fast.values()):
            write(joined)

    def _flush_turn(self) -> None:
        self._scheduled = False
        self.flush()


class Hub:
    """All local sockets. Every method is synchronous: no state is seen half changed."""

    def __init__(self, call_soon: CallSoon) -> None:
        self._call_soon = call_soon
        self.changed: Changed = lambda _: None
        """Told of every room somebody came to or went from."""
        self._audiences: dict[UUID, Audience] = {}
        self._rooms_of: dict[Member, set[UUID]] = {}
        self._paused: set[Member] = set()

    def open_room(self, room: UUID, *, head: int) -> Audience:
        return self._audiences.setdefault(
            room, Audience(room, head=head, call_soon=self._call_soon)
        )

    def close_room(self, room: UUID) -> None:
        audience = self._audiences.pop(room, None)
        for member in audience or ():
            self._rooms_of.get(member, set()).discard(room)

    def audience(self, room: UUID) -> Audience | None:
        return self._audiences.get(room)

    def rooms_of(self, member: Member) -> frozenset[UUID]:
        return frozenset(self._rooms_of.get(member, ()))

    def heads(self, member: Member) -> dict[UUID, int]:
        """Where each room of this member stands, so that a client sees a silent loss."""
        return {room: self._audiences[room].head for room in self._rooms_of.get(member, ())}

    def join(self, room: UUID, member: Member, *, after_seq: int) -> None:
        """Deliver to the member every event above `after_seq`, and none at or below it."""
        audience = self._audiences[room]
        self._remove(audience, member)
        # What waits for the end of the turn was already read from the log by the newcomer.
        audience.flush()
        self._rooms_of.setdefault(member, set()).add(room)
        if after_seq > audience.head:
            audience.joining[member] = after_seq
        else:
            self._admit(audience, member, from_seq=audience.written_seq)
        self.changed(room)

    def leave(self, room: UUID, member: Member) -> None:
        audience = self._audiences.get(room)
        if audience is not None:
            audience.flush()
            self._remove(audience, member)
        self._rooms_of.get(member, set()).discard(room)
        self.changed(room)

    def drop(self, member: Member) -> frozenset[UUID]:
        """Forget a socket that is closing; answers the rooms it was in."""
        rooms = frozenset(self._rooms_of.pop(member, ()))
        self._paused.discard(member)
        for room in rooms:
            self._remove(self._audiences[room], member)
            self.changed(room)
        return rooms

    def publish(self, room: UUID, payload: bytes, *, seq: int) -> None:
        """One durable event, the next of its room."""
        audience = self._audiences[room]
        audience.head = seq
        audience.append(text_frame(payload))
        if audience.joining:
            self._promote(audience)

    def publish_state(self, room: UUID, key: str, payload: bytes) -> None:
        """The latest value of `key`; older ones may never be seen."""
        audience = self._audiences.get(room)
        if audience is None:
            return
        frame = text_frame(payload)
        audience.append(frame)
        for lag in audience.slow.values():
            if key in lag.states or len(lag.states) < STATES_KEPT_MAX:
                lag.states[key] = frame

    def publish_ephemeral(self, room: UUID, payload: bytes) -> None:
        """Who reads now sees it; nobody else ever will."""
        audience = self._audiences.get(room)
        if audience is not None and audience.fast:
            audience.append(text_frame(payload))

    def pause(self, member: Member) -> None:
        """The member's write buffer is full. Called from inside a write."""
        self._paused.add(member)
        for room in self._rooms_of.get(member, ()):
            audience = self._audiences[room]
            if audience.fast.pop(member, None) is not None:
                audience.slow[member] = Lag(audience.written_seq)

    def resume(self, member: Member) -> None:
        """The member reads again: back on the list, with one notice per room that went on."""
        self._paused.discard(member)
        notices: list[bytes] = []
        for room in self._rooms_of.get(member, ()):
            audience = self._audiences[room]
            lag = audience.slow.pop(member, None)
            if lag is None:
                continue
            audience.fast[member] = member.write
            if audience.written_seq > lag.from_seq:
                lagged = realtime.Lagged(room=room, from_=lag.from_seq)
                notices.append(text_frame(encode(lagged)))
            notices.extend(lag.states.values())
        if notices:
            # One write at the end: it may pause the member again, which must find it on the list.
            member.write(b"".join(notices))

    def _admit(self, audience: Audience, member: Member, *, from_seq: int) -> None:
        if member in self._paused:
            audience.slow[member] = Lag(from_seq)
        else:
            audience.fast[member] = member.write

    def _promote(self, audience: Audience) -> None:
        ready = [member for member, seq in audience.joining.items() if seq <= audience.head]
        if ready:
            audience.flush()
        for member in ready:
            self._admit(audience, member, from_seq=audience.joining.pop(member))

    @staticmethod
    def _remove(audience: Audience, member: Member) -> None:
        audience.fast.pop(member, None)
        audience.slow.pop(member, None)
        audience.joining.pop(member, None)
