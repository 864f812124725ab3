"""The sockets of this process, by room and by person, and the fan-out to them.

A frame is built once per room, and once more compressed when somebody agreed on that. All frames of
one event-loop turn leave in one write per member. In a big room that goes on talking they leave
once per window instead: the first at once, the next when the window is over.
A member that stops reading is taken off the list: durable events are not kept for it (the room's
log has them), ephemeral ones are dropped, of each state the latest is kept. When it reads again it
is told once where its hole begins.

The hub knows no database and no broker; what it is given arrives in order (`feed.py` sees to it).
"""

from collections.abc import Callable, Iterator
from typing import Protocol
from uuid import UUID

from seda_contracts import realtime

from chat_realtime.live.framing import HEADER_BYTES_MAX, deflated_frame, encode, text_frame

BATCH_BYTES_MAX = 64 * 1024
"""One write above this would push every member over its high-water mark at once."""
STATES_KEPT_MAX = 64
WINDOW_SECONDS_MAX = 0.005
WINDOW_SECONDS_PER_MEMBER = 5e-6
"""About what a write costs: no window is longer than the flush before it took."""
WINDOW_SECONDS_MIN = 0.001
"""What a timer can hold; rooms of fewer members than this amounts to have no window."""

Write = Callable[[bytes], None]
CallSoon = Callable[[Callable[[], None]], object]
CallLater = Callable[[float, Callable[[], None]], object]
Changed = Callable[[UUID], None]


class Member(Protocol):
    """A socket as the hub sees it. `write` takes whole frames and must not raise."""

    @property
    def write(self) -> Write: ...

    @property
    def deflates(self) -> bool: ...


class Lag:
    """What a member that does not read will be told when it does."""

    __slots__ = ("from_seq", "states")

    def __init__(self, from_seq: int) -> None:
        self.from_seq = from_seq
        self.states: dict[str, bytes] = {}


class Audience:
    """The local members of one room, and the frames waiting for the end of this turn."""

    __slots__ = (
        "_call_later",
        "_call_soon",
        "_pending",
        "_pending_bytes",
        "_scheduled",
        "deflated",
        "fast",
        "head",
        "joining",
        "room",
        "slow",
        "written_seq",
    )

    def __init__(
        self, room: UUID, *, head: int, call_soon: CallSoon, call_later: CallLater
    ) -> None:
        self.room = room
        self.head = head
        """The last durable event accepted for this room."""
        self.written_seq = head
        """The last durable event handed to the transports."""
        self.fast: dict[Member, Write] = {}
        self.deflated: dict[Member, Write] = {}
        """As `fast`, of those who are written compressed frames."""
        self.slow: dict[Member, Lag] = {}
        self.joining: dict[Member, int] = {}
        """Members that read the log further than we have heard, and up to where."""
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._scheduled = False
        self._call_soon = call_soon
        self._call_later = call_later

    def __len__(self) -> int:
        return len(self.fast) + len(self.deflated) + len(self.slow) + len(self.joining)

    def __iter__(self) -> Iterator[Member]:
        yield from (*self.fast, *self.deflated, *self.slow, *self.joining)

    def append(self, payload: bytes) -> None:
        frame_bytes = HEADER_BYTES_MAX + len(payload)
        if self._pending_bytes + frame_bytes > BATCH_BYTES_MAX:
            self.flush()
        self._pending.append(payload)
        self._pending_bytes += frame_bytes
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush_turn)

    def flush(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self._pending_bytes = 0
        self.written_seq = self.head
        # Snapshots: a transport may call pause_writing inside write, which changes the lists.
        if self.fast:
            joined = b"".join([text_frame(payload) for payload in pending])
            for write in list(self.fast.values()):
                write(joined)
        if self.deflated:
            joined = b"".join([deflated_frame(payload) for payload in pending])
            for write in list(self.deflated.values()):
                write(joined)

    def admit(self, member: Member) -> None:
        (self.deflated if member.deflates else self.fast)[member] = member.write

    def dismiss(self, member: Member) -> bool:
        """False when it was not on the list."""
        return (self.deflated if member.deflates else self.fast).pop(member, None) is not None

    def _flush_turn(self) -> None:
        """Nothing waited for long: at once, and then one write per member and window."""
        if not self._pending:
            self._scheduled = False
            return
        self.flush()
        members = len(self.fast) + len(self.deflated)
        window_seconds = min(members * WINDOW_SECONDS_PER_MEMBER, WINDOW_SECONDS_MAX)
        if window_seconds < WINDOW_SECONDS_MIN:
            self._scheduled = False
        else:
            self._call_later(window_seconds, self._flush_turn)


class Hub:
    """All local sockets. Every method is synchronous: no state is seen half changed."""

    def __init__(self, call_soon: CallSoon, call_later: CallLater) -> None:
        self._call_soon = call_soon
        self._call_later = call_later
        self.changed: Changed = lambda _: None
        """Told of every room somebody came to or went from."""
        self._audiences: dict[UUID, Audience] = {}
        self._rooms_of: dict[Member, set[UUID]] = {}
        self._paused: set[Member] = set()

    def open_room(self, room: UUID, *, head: int) -> Audience:
        audience = self._audiences.get(room)
        if audience is None:
            audience = self._audiences[room] = Audience(
                room, head=head, call_soon=self._call_soon, call_later=self._call_later
            )
        return audience

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
        # It may write what waits, of which this event is no part yet.
        audience.append(payload)
        audience.head = seq
        if audience.joining:
            self._promote(audience)

    def publish_state(self, room: UUID, key: str, payload: bytes) -> None:
        """The latest value of `key`; older ones may never be seen."""
        audience = self._audiences.get(room)
        if audience is None:
            return
        audience.append(payload)
        for lag in audience.slow.values():
            if key in lag.states or len(lag.states) < STATES_KEPT_MAX:
                lag.states[key] = payload

    def publish_ephemeral(self, room: UUID, payload: bytes) -> None:
        """Who reads now sees it; nobody else ever will."""
        audience = self._audiences.get(room)
        if audience is not None and (audience.fast or audience.deflated):
            audience.append(payload)

    def pause(self, member: Member) -> None:
        """The member's write buffer is full. Called from inside a write."""
        self._paused.add(member)
        for room in self._rooms_of.get(member, ()):
            audience = self._audiences[room]
            if audience.dismiss(member):
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
            audience.admit(member)
            if audience.written_seq > lag.from_seq:
                lagged = realtime.Lagged(room=room, from_=lag.from_seq)
                notices.append(text_frame(encode(lagged)))
            notices.extend(map(text_frame, lag.states.values()))
        if notices:
            # One write at the end: it may pause the member again, which must find it on the list.
            member.write(b"".join(notices))

    def _admit(self, audience: Audience, member: Member, *, from_seq: int) -> None:
        if member in self._paused:
            audience.slow[member] = Lag(from_seq)
        else:
            audience.admit(member)

    def _promote(self, audience: Audience) -> None:
        ready = [member for member, seq in audience.joining.items() if seq <= audience.head]
        if ready:
            audience.flush()
        for member in ready:
            self._admit(audience, member, from_seq=audience.joining.pop(member))

    @staticmethod
    def _remove(audience: Audience, member: Member) -> None:
        audience.dismiss(member)
        audience.slow.pop(member, None)
        audience.joining.pop(member, None)
