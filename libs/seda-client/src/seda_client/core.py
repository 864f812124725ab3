"""What a client does about each frame and each close, without any socket or clock: the frame, the
time and a random number go in, decisions come out.

A room is followed by a cursor, `ep` and `seq` of the last event that was handed on. An event is
handed on when it is the next one; an older one is dropped; a later one, `lagged` and a heartbeat
that knows more mean that something is missing, and the room is asked for again from the cursor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts.realtime import VERSION, Cursor
from seda_contracts.realtime_codes import Reaction, reaction_to

BACK_OFF_SECONDS_MIN = 0.5
BACK_OFF_SECONDS_MAX = 30.0
SETTLED_SECONDS = 10.0
"""A connection that lived as long ends the trouble before it."""

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, a state or an ephemeral, as the server said it, in the order of its room."""

    room: UUID
    frame: Frame


@dataclass(frozen=True, slots=True)
class SnapshotNeeded:
    """Too much was missed to be told: read the room over HTTP, then `resume_from` what it said."""

    room: UUID


@dataclass(frozen=True, slots=True)
class Lost:
    """The room may not be heard any more."""

    room: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this command."""

    op: str
    room: UUID | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenNeeded:
    """The token ends soon: refresh it in place."""


Decision = Happened | SnapshotNeeded | Lost | Ask | TokenNeeded


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Connect again after this time, with a new ticket when the old one is worth nothing.

    `not_before_seconds` is the server's own word; `after_seconds` comes on top of it.
    """

    after_seconds: float
    not_before_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not connect again: it would end the same."""

    code: int | None
    meaning: str


@dataclass(slots=True)
class _Room:
    cursor: Cursor | None = None
    """None until the server has said where the room stands."""
    is_catching_up: bool = False
    """Asked for from the cursor: what comes before the answer may be out of turn."""
    needs_snapshot: bool = False
    """Until somebody has read the room over HTTP no event of it can be placed."""


@dataclass(slots=True)
class Core:
    """One client over all its connections."""

    rooms: dict[UUID, _Room] = field(default_factory=dict)
    clock_offset_ms: float | None = None
    """What to add to the client's clock to have the server's."""
    is_ready: bool = False
    _drain_at: float | None = None
    _away_since: float | None = None
    _ready_at: float | None = None

    # What the caller wants.

    def follow(self, room: UUID, cursor: Cursor | None = None) -> list[Decision]:
        self.rooms.setdefault(room, _Room(cursor))
        return [self._subscribe(room)] if self.is_ready else []

    def unfollow(self, room: UUID) -> list[Decision]:
        known = self.rooms.pop(room, None)
        if known is None or not self.is_ready:
            return []
        return [Ask("room.unsub", room, {})]

    def resume_from(self, room: UUID, cursor: Cursor) -> list[Decision]:
        """A snapshot was read that stands there."""
        known = self.rooms.get(room)
        if known is None:
            return []
        known.cursor = cursor
        known.needs_snapshot = False
        return [self._subscribe(room)] if self.is_ready else []

    def hello(self, credential: Mapping[str, str]) -> Ask:
        """The first command of a connection. Rooms without a cursor are asked for after `ready`."""
        cursors = {
            str(room): msgspec.to_builtins(known.cursor)
            for room, known in self.rooms.items()
            if known.cursor is not None and not known.needs_snapshot
        }
        return Ask("hello", None, {**credential, "resume": {"rooms": cursors}, "v": VERSION})

    # What the server says.

    def receive(self, frame: Frame, *, now: float) -> list[Decision]:
        """Frames and types that are not known mean nothing but their `seq`."""
        match frame.get("op"):
            case "ready":
                return self._ready(frame, now)
            case "ev":
                return self._event(frame)
            case "st" | "ep":
                return [Happened(UUID(frame["room"]), frame)]
            case "live":
                return self._live(UUID(frame["room"]), frame["head"])
            case "lagged":
                return self._catch_up(UUID(frame["room"]))
            case "unsub":
                self.rooms.pop(UUID(frame["room"]), None)
                return [Lost(UUID(frame["room"]), frame["reason"])]
            case "hb.ok":
                return self._beat(frame, now_ms=now * 1000)
            case "drain":
                self._drain_at = now + frame["in_ms"] / 1000
            case "auth.expiring":
                return [TokenNeeded()]
        return []

    def subscribed(self, room: UUID, told: Frame) -> list[Decision]:
        """The answer to `room.sub`, and each room of `ready`."""
        known = self.rooms.get(room)
        if known is None:
            return []
        match told["result"]:
            case "gone":
                del self.rooms[room]
                return [Lost(room, "gone")]
            case "snapshot":
                known.is_catching_up = False
                known.needs_snapshot = True
                return [SnapshotNeeded(room)]
            case "current":
                # Events may have come since the server looked: it never goes back in one log.
                ep, seq = told["ep"], told["head"]
                if known.cursor is None or known.cursor.ep != ep or known.cursor.seq < seq:
                    known.cursor = Cursor(ep=ep, seq=seq)
        known.is_catching_up = False
        return []

    def refused_subscription(self, room: UUID, code: str) -> list[Decision]:
        self.rooms.pop(room, None)
        return [Lost(room, code)]

    # How it ends.

    def closed(self, code: int | None, *, now: float, random: float) -> ComeBack | Stop:
        """`random` is from 0 to 1: who was cut off together does not come back together."""
        self.is_ready = False
        close = reaction_to(code)
        reaction: Reaction = close.reaction
        if reaction == "stop":
            return Stop(code, close.meaning)
        if self._ready_at is not None and now - self._ready_at >= SETTLED_SECONDS:
            self._away_since = None
        self._ready_at = None
        drain_at, self._drain_at = self._drain_at, None
        # A process that ends sooner than it said has still given each client its moment.
        not_before = max(0.0, drain_at - now) if drain_at is not None else 0.0
        if code == 4012 and drain_at is not None:
            # The server has spread its clients already: the moment was ours alone.
            return ComeBack(random * BACK_OFF_SECONDS_MIN, not_before)
        return ComeBack(close.delay_ms / 1000 + self._back_off(now, random), not_before)

    def not_connected(self, *, now: float, random: float) -> ComeBack:
        """The server was not reached, or refused before the upgrade."""
        self.is_ready = False
        return ComeBack(self._back_off(now, random))

    # Inside.

    def _back_off(self, now: float, random: float) -> float:
        """Full jitter below a ceiling that grows with the time the trouble has lasted, not with the
        attempts.
        """
        if self._away_since is None:
            self._away_since = now
        away_seconds = now - self._away_since
        ceiling = min(max(away_seconds, BACK_OFF_SECONDS_MIN), BACK_OFF_SECONDS_MAX)
        return random * ceiling

    def _ready(self, frame: Frame, now: float) -> list[Decision]:
        self.is_ready = True
        self._ready_at = now
        decisions: list[Decision] = []
        told = {UUID(each["room"]): each for each in frame["rooms"]}
        for room in list(self.rooms):
            if room in told:
                decisions += self.subscribed(room, told[room])
            elif not self.rooms[room].needs_snapshot:
                decisions.append(self._subscribe(room))
        return decisions

    def _event(self, frame: Frame) -> list[Decision]:
        room = UUID(frame["room"])
        known = self.rooms.get(room)
        if known is None or known.needs_snapshot:
            return []
        cursor, seq = known.cursor, int(frame["seq"])
        if cursor is not None and cursor.ep == frame["ep"]:
            if seq <= cursor.seq:
                return []
            if seq > cursor.seq + 1:
                return self._catch_up(room)
        elif cursor is not None:
            # The log was rebuilt: what we have is worth nothing any more.
            return self._catch_up(room)
        known.cursor = Cursor(ep=frame["ep"], seq=seq)
        return [Happened(room, frame)]

    def _live(self, room: UUID, head: int) -> list[Decision]:
        known = self.rooms.get(room)
        if known is not None and known.cursor is not None and known.cursor.seq < head:
            return self._catch_up(room)
        return []

    def _beat(self, frame: Frame, *, now_ms: float) -> list[Decision]:
        """The offset as in NTP, and what the server has that we have not."""
        there, back = frame["t1"] - frame["t0"], frame["t2"] - now_ms
        self.clock_offset_ms = (there + back) / 2
        behind: list[Decision] = []
        for room_text, head in frame["heads"].items():
            behind += self._live(UUID(room_text), head)
        return behind

    def _catch_up(self, room: UUID) -> list[Decision]:
        known = self.rooms.get(room)
        if known is None or known.is_catching_up or known.needs_snapshot:
            return []
        known.is_catching_up = True
        return [self._subscribe(room)]

    def _subscribe(self, room: UUID) -> Ask:
        cursor = self.rooms[room].cursor
        return Ask("room.sub", room, {} if cursor is None else msgspec.to_builtins(cursor))
