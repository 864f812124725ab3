"""The sockets of this process, by room and by person, and the fan-out to them (`audience.py`).

A frame is built once per room, and once more compressed when somebody agreed on that.
A member that stops reading is taken off the list: durable events are not kept for it (the room's
log has them), ephemeral ones are dropped, of each state the latest is kept. When it reads again it
is told once where its hole begins.

The hub knows no database and no broker; what it is given arrives in order (`feed.py` sees to it).
"""

from collections.abc import Callable
from uuid import UUID

from seda_contracts import realtime

from chat_realtime.live.audience import Audience, CallSoon, Lag, Member
from chat_realtime.live.framing import encode, text_frame

STATES_KEPT_MAX = 64
Changed = Callable[[UUID], None]


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
        audience = self._audiences.get(room)
        if audience is None:
            audience = Audience(room, head=head, call_soon=self._call_soon)
            self._audiences[room] = audience
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
        audience.remove(member)
        # What waits for its turn was already read from the log by the newcomer.
        audience.flush()
        self._rooms_of.setdefault(member, set()).add(room)
        if after_seq > audience.head:
            audience.joining[member] = after_seq
        else:
            self._admit(audience, member)
        self.changed(room)

    def leave(self, room: UUID, member: Member) -> None:
        audience = self._audiences.get(room)
        if audience is not None:
            audience.flush()
            audience.remove(member)
        self._rooms_of.get(member, set()).discard(room)
        self.changed(room)

    def drop(self, member: Member) -> frozenset[UUID]:
        """Forget a socket that is closing; answers the rooms it was in."""
        rooms = frozenset(self._rooms_of.pop(member, ()))
        self._paused.discard(member)
        for room in rooms:
            self._audiences[room].remove(member)
            self.changed(room)
        return rooms

    def publish(self, room: UUID, payload: bytes, *, seq: int) -> None:
        """One durable event, the next of its room."""
        audience = self._audiences[room]
        audience.append(payload, seq=seq)
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
        if audience is not None:
            audience.append(payload)

    def pause(self, member: Member) -> None:
        """The member's write buffer is full. Called from inside a write."""
        self._paused.add(member)
        for room in self._rooms_of.get(member, ()):
            audience = self._audiences[room]
            written_seq = audience.dismiss(member)
            if written_seq is not None:
                audience.slow[member] = Lag(written_seq)

    def resume(self, member: Member) -> None:
        """The member reads again: back on the list, with one notice per room that went on."""
        self._paused.discard(member)
        notices: list[bytes] = []
        for room in self._rooms_of.get(member, ()):
            audience = self._audiences[room]
            lag = audience.slow.pop(member, None)
            if lag is None:
                continue
            if audience.admit(member, after_seq=lag.from_seq) > lag.from_seq:
                lagged = realtime.Lagged(room=room, from_=lag.from_seq)
                notices.append(text_frame(encode(lagged)))
            notices.extend(map(text_frame, lag.states.values()))
        if notices:
            # One write at the end: it may pause the member again, which must find it on the list.
            member.write(b"".join(notices))

    def _admit(self, audience: Audience, member: Member) -> None:
        """After a flush: what is still to come to it begins above the head."""
        if member in self._paused:
            audience.slow[member] = Lag(audience.head)
        else:
            audience.admit(member, after_seq=audience.head)

    def _promote(self, audience: Audience) -> None:
        ready = [member for member, seq in audience.joining.items() if seq <= audience.head]
        if ready:
            audience.flush()
        for member in ready:
            del audience.joining[member]
            self._admit(audience, member)
