"""The edge of the socket: who is connected, what the listener tells and what is told to people.

Decisions of a client's session become answers here or commands for `serving.py`.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import msgspec
from seda_contracts import realtime
from seda_identity import Principal
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import gauge
from websockets.frames import CloseCode

from chat_realtime.attention.store import Unread
from chat_realtime.live.client import Client
from chat_realtime.live.commands import Desk
from chat_realtime.live.domain import TooManyStreams
from chat_realtime.live.joining import Hall, Joining
from chat_realtime.live.line import Line
from chat_realtime.live.operations import Door, Knock, Knocks, judge
from chat_realtime.live.serving import NOT_THEIRS, Serving
from chat_realtime.live.session import (
    CLOSE_CONNECTION_LIMIT,
    CLOSE_DRAINED,
    CLOSE_SESSION_REVOKED,
    CLOSE_SUSPENDED,
    CLOSE_TOKEN_EXPIRED,
    Close,
    Command,
    Reject,
    Session,
    SessionLimits,
)
from chat_realtime.live.together import Together
from chat_realtime.messages.domain import Stopping

log = get_logger(__name__)
EXPIRY_NOTICE_SECONDS = 60
TOO_MANY = "too many sockets; this was the oldest"
_sockets = gauge("seda_chat_sockets", "Open sockets that have said hello.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptions:
    limits: SessionLimits
    sockets_per_user_max: int
    streams_max: int
    hellos_waiting_max: int
    trace_sample_ratio: float
    build: str


class SocketEdge:
    """What the listener calls. Every socket of this process passes through here."""

    def __init__(self, options: SocketOptions, hall: Hall, desk: Desk, door: Door) -> None:
        self._options = options
        self._hall = hall
        self._door = door
        self.came: Callable[[UUID], None] = lambda _: None
        """Told whose socket was let in."""
        self._knocks: Knocks = Together(partial(judge, desk.db, door))
        self._serving = Serving(
            hall,
            desk,
            door,
            self._knocks,
            self._let_in,
            trace_sample_ratio=options.trace_sample_ratio,
        )
        self._by_user: dict[UUID, dict[Client, None]] = {}
        self._streams: set[Line] = set()
        self._is_draining = False
        self._strangers = 0
        self._loop = asyncio.get_running_loop()

    def is_busy(self) -> bool:
        """As many have opened a socket and are not let in yet as are borne at once."""
        return self._strangers >= self._options.hellos_waiting_max

    def clients(self) -> list[Client]:
        return [client for clients in self._by_user.values() for client in clients]

    # What the listener tells.

    def opened(self, connection: Line) -> None:
        self._strangers += 1
        self._welcome(Client(connection, self._session()))

    async def enter(
        self, stream: Line, principal: Principal, rooms: Mapping[UUID, realtime.Cursor | None]
    ) -> Sequence[Joining]:
        """A stream of somebody whom the gateway vouches for. Raises PersonSuspended, SessionEnded,
        InvalidToken, TooManyStreams, Stopping, or what refuses the first room when all are refused.
        """
        if self._is_draining:
            raise Stopping
        if len(self._streams) >= self._options.streams_max:
            raise TooManyStreams
        self._streams.add(stream)
        client = Client(stream, self._session())
        client.principal = principal
        if principal.expires_at is not None:
            client.expires_at = datetime.fromtimestamp(principal.expires_at, UTC)
        self._welcome(client)
        await self._knocks.ask(
            Knock(principal=principal, ticket_id=None, expires_at=self._door.now())
        )
        client.session.greet(rooms)
        self._register(client)
        ready, joinings, fault = await self._serving.begin_all(client, rooms)
        if fault is not None and not (joinings and isinstance(fault, NOT_THEIRS)):
            self._serving.give_up(joinings)
            raise fault
        self._serving.tell_ready(client, 0, ready)
        return joinings

    async def finish(self, stream: Line, joinings: Sequence[Joining]) -> None:
        """Every room that was begun is either listened to or let go of, whatever happens."""
        client: Client | None = stream.client
        for place, begun in enumerate(joinings):
            try:
                if client is None or not stream.is_open:
                    self._hall.feeds.unfollow(begun.room)
                else:
                    await self._serving.finish(client, begun)
            except BaseException as error:
                for left in joinings[place + 1 :]:
                    self._hall.feeds.unfollow(left.room)
                if not isinstance(error, Exception):
                    raise
                log.error("stream.join_failed", exc_info=error)
                stream.close(CloseCode.INTERNAL_ERROR, "try again")
                return

    def watched(self, stream: Line) -> None:
        client: Client = stream.client
        if client.expires_at is not None:
            self._watch_expiry(client, client.expires_at)

    def _session(self) -> Session:
        return Session(self._options.limits, now=self._loop.time())

    def _welcome(self, client: Client) -> None:
        limits = self._options.limits
        client.connection.client = client
        client.tell(
            realtime.Welcome(
                hb_ms=int(limits.heartbeat_seconds * 1000),
                hb_grace_ms=int(limits.heartbeat_grace_seconds * 1000),
                limits={
                    "frame_bytes": limits.frame_bytes_max,
                    "rooms": limits.rooms_max,
                    "commands_per_second": int(limits.commands_per_second),
                    "typing_interval_ms": int(limits.typing_interval_seconds * 1000),
                },
                server_time=_now_ms(),
                build=self._options.build,
            )
        )

    def received(self, connection: Line, payload: bytes) -> None:
        client: Client = connection.client
        for decision in client.session.receive(payload, now=self._loop.time()):
            match decision:
                case Reject(command_id, failure):
                    client.tell(realtime.Refused(command_id, failure))
                case Close(code, reason):
                    connection.close(code, reason)
                case Command(body=realtime.Heartbeat() as beat):
                    self._serving.answer_beat(client, decision, beat)
                case Command():
                    self._serving.enqueue(client, decision)

    def received_binary(self, connection: Line, payload: bytes) -> None:
        connection.close(CloseCode.UNSUPPORTED_DATA, "text only")

    def closed(self, connection: Line) -> None:
        client: Client = connection.client
        self._streams.discard(connection)
        client.session.end()
        client.queue.clear()
        for room in self._hall.hub.drop(client):
            self._hall.feeds.unfollow(room)
        if client.principal is None:
            self._strangers -= 1
        else:
            theirs = self._by_user.get(client.user_id, {})
            if theirs.pop(client, 0) is None:
                _sockets.add(-1)
            if not theirs:
                self._by_user.pop(client.user_id, None)

    def paused(self, connection: Line) -> None:
        self._hall.hub.pause(connection.client)

    def resumed(self, connection: Line) -> None:
        self._hall.hub.resume(connection.client)

    def ticked(self, connection: Line, now: float) -> None:
        client: Client = connection.client
        close = client.session.tick(now=now)
        if close is not None:
            connection.close(close.code, close.reason)
        elif client.expires_at is not None:
            self._watch_expiry(client, client.expires_at)

    # What the rest of the service tells.

    def end_session(self, user_id: UUID, session_id: UUID) -> None:
        """Close every socket of a revoked session."""
        for client in list(self._by_user.get(user_id, ())):
            if client.principal is not None and client.principal.session_id == session_id:
                client.connection.close(CLOSE_SESSION_REVOKED, "session revoked")

    def end_role(self, user_id: UUID, perm_version: int) -> None:
        """Close every socket that was opened under an older role of this person."""
        for client in list(self._by_user.get(user_id, ())):
            if client.principal is not None and client.principal.perm_version < perm_version:
                client.connection.close(CLOSE_TOKEN_EXPIRED, "role changed")

    def end_account(self, user_id: UUID, perm_version: int) -> None:
        """Close every socket that was opened before this person was suspended."""
        for client in list(self._by_user.get(user_id, ())):
            if client.principal is not None and client.principal.perm_version < perm_version:
                client.connection.close(CLOSE_SUSPENDED, "account suspended")

    @property
    def streams_count(self) -> int:
        return len(self._streams)

    def lines_of(self, user_id: UUID) -> list[Line]:
        """Oldest first."""
        return [client.connection for client in self._by_user.get(user_id, ())]

    def is_here(self, user_id: UUID) -> bool:
        return user_id in self._by_user

    def show_unread(self, user_id: UUID, unread: Unread) -> None:
        """The latest counts; a device that does not read gets the next ones."""
        counts = realtime.UnreadState(
            read_seq=unread.read_seq,
            unread=unread.unread,
            mentions=unread.mentions,
            first_unread_seq=unread.first_unread_seq,
        )
        frame = realtime.StateFrame(
            room=unread.room_id, t="unread", rev=unread.last_seq + unread.read_seq, d=counts
        )
        self.tell_person(user_id, frame)

    def tell_person(self, user_id: UUID, frame: msgspec.Struct) -> None:
        """To every device that reads; it is no loss to one that does not."""
        for client in list(self._by_user.get(user_id, ())):
            if not client.connection.is_stalled:
                client.tell(frame)

    def socket_ids(self, user_id: UUID) -> list[UUID]:
        """In the order in which they were opened."""
        return [client.id for client in self._by_user.get(user_id, ())]

    def end_sockets(self, user_id: UUID, ids: Collection[UUID]) -> None:
        """Close those that are above what one person may have."""
        for client in list(self._by_user.get(user_id, ())):
            if client.id in ids:
                client.connection.close(CLOSE_CONNECTION_LIMIT, TOO_MANY)

    def user_ids(self) -> list[UUID]:
        """Everyone connected here."""
        return list(self._by_user)

    def session_ids(self) -> dict[UUID, UUID]:
        """Session to person, of everyone connected here."""
        return {
            client.principal.session_id: client.user_id
            for client in self.clients()
            if client.principal is not None and client.principal.session_id is not None
        }

    def start_drain(self, window_seconds: float) -> None:
        """Give each socket its own moment to reconnect elsewhere, and close it there. Once."""
        if self._is_draining:
            return
        self._is_draining = True
        clients = self.clients()
        for place, client in enumerate(clients):
            delay_seconds = window_seconds * place / len(clients)
            client.tell(realtime.Drain(in_ms=int(delay_seconds * 1000)))
            self._loop.call_later(delay_seconds, client.connection.close, CLOSE_DRAINED, "drained")

    def end_streams(self) -> None:
        """Those that are left when the window is over."""
        for stream in list(self._streams):
            stream.close(CloseCode.SERVICE_RESTART, "restarting")

    async def finish_commands(self) -> None:
        """What was begun is committed and answered before the process goes."""
        await self._serving.finish_all()

    # Bookkeeping.

    def _let_in(self, client: Client) -> None:
        self._strangers -= 1
        self._register(client)

    def _register(self, client: Client) -> None:
        theirs = self._by_user.setdefault(client.user_id, {})
        while len(theirs) >= self._options.sockets_per_user_max:
            oldest = next(iter(theirs))
            oldest.connection.close(CLOSE_CONNECTION_LIMIT, TOO_MANY)
            if theirs.pop(oldest, 0) is None:
                _sockets.add(-1)
        theirs = self._by_user.setdefault(client.user_id, theirs)
        theirs[client] = None
        _sockets.add(1)
        self.came(client.user_id)

    def _watch_expiry(self, client: Client, expires_at: datetime) -> None:
        left_seconds = (expires_at - self._door.now()).total_seconds()
        if left_seconds <= 0:
            client.connection.close(CLOSE_TOKEN_EXPIRED, "token expired")
        elif left_seconds <= EXPIRY_NOTICE_SECONDS and not client.warned_of_expiry:
            client.warned_of_expiry = True
            client.tell(realtime.AuthExpiring(in_ms=int(left_seconds * 1000)))


def _now_ms() -> int:
    return int(time.time() * 1000)
