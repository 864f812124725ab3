"""One socket's side of the protocol without any socket: bytes in, decisions out.

It knows what may be said in which phase, how often, and until when. It does no I/O, reads no
clock and never looks at the database: time is passed in, and rights are the operations' business.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

import msgspec
from seda_contracts import realtime

CLOSE_HELLO_TIMEOUT = 4001
CLOSE_TOKEN_EXPIRED = 4003
CLOSE_DRAINED = 4012
CLOSE_RATE_ABUSE = 4029
CLOSE_HEARTBEAT_LOST = 4408
CLOSE_MALFORMED = 4500
CLOSE_SESSION_REVOKED = 4501
CLOSE_VERSION = 4502
CLOSE_CONNECTION_LIMIT = 4503
CLOSE_SUSPENDED = 4504

_decode_frame = msgspec.json.Decoder(realtime.Envelope | list[realtime.Envelope]).decode
_decode_bodies = {op: msgspec.json.Decoder(body).decode for op, body in realtime.BODIES.items()}


class _OnlyId(msgspec.Struct):
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    hello_timeout_seconds: float = 5
    heartbeat_seconds: float = 25
    heartbeat_grace_seconds: float = 10
    rooms_max: int = 100
    frame_bytes_max: int = 16 * 1024
    batch_commands_max: int = 32
    commands_per_second: float = 20
    commands_burst: int = 60
    refusals_before_close: int = 200
    """Commands over the rate before the socket counts as abuse."""
    typing_interval_seconds: float = 3


@dataclass(frozen=True, slots=True)
class Command:
    id: int
    op: str
    room: UUID | None
    body: realtime.Body


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer and go on."""

    id: int
    failure: realtime.Failure


@dataclass(frozen=True, slots=True)
class Close:
    """Answer with a close frame and go."""

    code: int
    reason: str


Decision = Command | Reject | Close


class Phase(Enum):
    AWAITING_HELLO = auto()
    GREETED = auto()
    CLOSED = auto()


class Session:
    """The rules of one socket, from its first byte to its close."""

    __slots__ = (
        "_limits",
        "_opened_at",
        "_phase",
        "_refusals",
        "_tokens",
        "_tokens_at",
        "heard_at",
        "rooms",
    )

    def __init__(self, limits: SessionLimits, *, now: float) -> None:
        self._limits = limits
        self._phase = Phase.AWAITING_HELLO
        self._opened_at = now
        self._tokens = float(limits.commands_burst)
        self._tokens_at = now
        self._refusals = 0
        self.heard_at = now
        """When a well-formed command last came. Pongs do not count: a frozen page sends them."""
        self.rooms: dict[UUID, float | None] = {}
        """Rooms asked for and not given up, and when a hint of typing last passed there. The
        audience lists are the hub's.
        """

    def receive(self, payload: bytes, *, now: float) -> list[Decision]:
        """What to do about one text message. After a Close nothing is decided any more."""
        if self._phase is Phase.CLOSED:
            return []
        try:
            decoded = _decode_frame(payload)
        except (msgspec.DecodeError, RecursionError) as error:
            return [self._malformed(payload, error)]
        envelopes = decoded if isinstance(decoded, list) else [decoded]
        if len(envelopes) > self._limits.batch_commands_max:
            return [self._close(CLOSE_MALFORMED, "too many commands in one frame")]
        self.heard_at = now
        decisions: list[Decision] = []
        for envelope in envelopes:
            decision = self._decide(envelope, now)
            if decision is not None:
                decisions.append(decision)
            if isinstance(decision, Close):
                break
        return decisions

    def tick(self, *, now: float) -> Close | None:
        """The deadline that has passed, if one has."""
        limits = self._limits
        if self._phase is Phase.AWAITING_HELLO:
            if now - self._opened_at >= limits.hello_timeout_seconds:
                return self._close(CLOSE_HELLO_TIMEOUT, "no hello in time")
        elif self._phase is Phase.GREETED:
            silence_seconds_max = 2 * limits.heartbeat_seconds + limits.heartbeat_grace_seconds
            if now - self.heard_at >= silence_seconds_max:
                return self._close(CLOSE_HEARTBEAT_LOST, "heartbeat lost")
        return None

    def leave(self, room: UUID) -> None:
        """Forget a room that the server took away or refused."""
        self.rooms.pop(room, None)

    def greet(self, rooms: Iterable[UUID]) -> None:
        """The client has proven who it is by other means than a hello."""
        self._phase = Phase.GREETED
        self.rooms |= dict.fromkeys(rooms)

    def end(self) -> None:
        self._phase = Phase.CLOSED

    def _decide(self, envelope: realtime.Envelope, now: float) -> Decision | None:
        if self._phase is Phase.AWAITING_HELLO and envelope.op != "hello":
            return self._close(CLOSE_MALFORMED, "hello must come first")
        if not self._take_token(now):
            return self._over_the_rate(envelope)
        decode_body = _decode_bodies.get(envelope.op)
        if decode_body is None:
            return _reject(envelope, "unknown_op", "no such op")
        try:
            body = decode_body(envelope.d)
        except (msgspec.DecodeError, RecursionError) as error:
            return _reject(envelope, "bad_request", str(error))
        if envelope.room is None and envelope.op not in realtime.WITHOUT_ROOM:
            return _reject(envelope, "bad_request", "room is missing")
        return self._admit(Command(envelope.id, envelope.op, envelope.room, body), envelope, now)

    def _admit(self, command: Command, envelope: realtime.Envelope, now: float) -> Decision | None:
        match command.body:
            case realtime.Hello() as hello:
                if self._phase is Phase.GREETED:
                    return _reject(envelope, "conflict", "hello was already said")
                if hello.v != realtime.VERSION:
                    return self._close(CLOSE_VERSION, f"the version is {realtime.VERSION}")
                if (hello.ticket is None) == (hello.token is None):
                    return self._close(CLOSE_MALFORMED, "hello takes a ticket or a token")
                if len(hello.resume.rooms) > self._limits.rooms_max:
                    return self._close(CLOSE_MALFORMED, "too many rooms to resume")
                self._phase = Phase.GREETED
                self.rooms |= dict.fromkeys(hello.resume.rooms)
            case realtime.Subscribe() if command.room is not None:
                if command.room not in self.rooms and len(self.rooms) >= self._limits.rooms_max:
                    return _reject(envelope, "too_large", "too many rooms on this socket")
                self.rooms.setdefault(command.room)
            case realtime.Typing() if command.room is not None:
                if command.room not in self.rooms:
                    return _reject(envelope, "not_member", "subscribe to the room first")
                return command if self._may_type(command.room, now) else None
        return command

    def _may_type(self, room: UUID, now: float) -> bool:
        """One hint per room and interval; the rest vanish, being worth nothing late."""
        last = self.rooms[room]
        if last is not None and now - last < self._limits.typing_interval_seconds:
            return False
        self.rooms[room] = now
        return True

    def _take_token(self, now: float) -> bool:
        limits = self._limits
        earned = (now - self._tokens_at) * limits.commands_per_second
        self._tokens = min(float(limits.commands_burst), self._tokens + earned)
        self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _over_the_rate(self, envelope: realtime.Envelope) -> Decision:
        self._refusals += 1
        if self._refusals >= self._limits.refusals_before_close:
            return self._close(CLOSE_RATE_ABUSE, "too many commands")
        wait_ms = int(1000 * (1 - self._tokens) / self._limits.commands_per_second) + 1
        failure = realtime.Failure(code="rate_limited", retry="later", retry_ms=wait_ms)
        return Reject(envelope.id, failure)

    def _malformed(self, payload: bytes, error: Exception) -> Decision:
        """A wrong field can be answered when there is an id to answer to; broken JSON cannot."""
        if self._phase is Phase.GREETED:
            try:
                known = msgspec.json.decode(payload, type=_OnlyId)
            except (msgspec.DecodeError, RecursionError):
                pass
            else:
                return Reject(
                    known.id, realtime.Failure(code="bad_request", retry="never", msg=str(error))
                )
        return self._close(CLOSE_MALFORMED, "malformed frame")

    def _close(self, code: int, reason: str) -> Close:
        self._phase = Phase.CLOSED
        return Close(code, reason)


def _reject(envelope: realtime.Envelope, code: str, message: str) -> Reject:
    return Reject(envelope.id, realtime.Failure(code=code, retry="never", msg=message))
