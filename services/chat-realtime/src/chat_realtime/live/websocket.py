"""The edge of the socket: decoded commands to operations, their outcomes back as frames.

One client is served one command at a time, in order; clients are served beside each other. What is
not awaited here is done by the hub and the feeds.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanKind
from seda_contracts import realtime
from seda_identity import Principal
from seda_identity.principal import ScopeMissing
from seda_identity.tokens import InvalidToken, TokenExpired
from seda_runtime.ids import uuid7
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import gauge, sampled, span
from websockets.frames import CloseCode

from chat_realtime.attention.store import Unread
from chat_realtime.live import joining
from chat_realtime.live.commands import PERMISSIONS, Desk, perform
from chat_realtime.live.domain import (
    PersonSuspended,
    RoomGone,
    SessionEnded,
    TicketRefused,
    TooManyStreams,
)
from chat_realtime.live.failures import failure_of
from chat_realtime.live.framing import encode
from chat_realtime.live.hub import Hub
from chat_realtime.live.joining import Hall, Joining
from chat_realtime.live.line import Line
from chat_realtime.live.operations import (
    Door,
    Knock,
    Knocks,
    admit,
    judge,
    readmit,
    tell_typing,
)
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
from chat_realtime.presence.domain import DeviceStatus
from chat_realtime.rooms.domain import Banned, NotMember, RoomNotFound

log = get_logger(__name__)
QUEUE_HIGH = 32
QUEUE_LOW = 8
COMMAND_SECONDS_MAX = 5
EXPIRY_NOTICE_SECONDS = 60
TOO_MANY = "too many sockets; this was the oldest"
NOT_THEIRS = (RoomGone, RoomNotFound, NotMember, Banned, ScopeMissing)
"""A room that somebody who comes back may not hear; anything else says that nobody could ask."""
_sockets = gauge("seda_chat_sockets", "Open sockets that have said hello.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptions:
    limits: SessionLimits
    sockets_per_user_max: int
    streams_max: int
    hellos_waiting_max: int
    trace_sample_ratio: float
    build: str


class Client:
    """One line and the person behind it, once there is one. The hub's member."""

    __slots__ = (
        "connection",
        "deflates",
        "expires_at",
        "id",
        "principal",
        "queue",
        "session",
        "status",
        "warned_of_expiry",
        "worker",
        "write",
    )

    def __init__(self, connection: Line, session: Session) -> None:
        self.id = uuid7()
        self.connection = connection
        self.session = session
        self.write: Callable[[bytes], None] = connection.write
        self.deflates = connection.deflates
        self.principal: Principal | None = None
        self.expires_at: datetime | None = None
        self.warned_of_expiry = False
        self.status: DeviceStatus = "online"
        self.queue: list[Command] = []
        """Short, and mostly empty: a deque would be a tenth of an idle socket."""
        self.worker: asyncio.Task[None] | None = None

    @property
    def user_id(self) -> UUID:
        assert self.principal is not None
        return self.principal.require_user()

    def tell(self, frame: msgspec.Struct) -> None:
        self.connection.send(encode(frame))

    def revoke(self, room: UUID, reason: str) -> None:
        """The person may no longer hear the room; the hub has let go of it already."""
        self.session.leave(room)
        self.tell(realtime.Unsub(room=room, reason=reason))


class SocketEdge:
    """What the listener calls. Every socket of this process passes through here."""

    def __init__(self, options: SocketOptions, hall: Hall, desk: Desk, door: Door) -> None:
        self._options = options
        self._hall = hall
        self._desk = desk
        self._door = door
        self.came: Callable[[UUID], None] = lambda _: None
        """Told whose socket was let in."""
        self._knocks: Knocks = Together(partial(judge, desk.db, door))
        self._by_user: dict[UUID, dict[Client, None]] = {}
        self._streams: set[Line] = set()
        self._is_draining = False
        self._strangers = 0
        self._workers: set[asyncio.Task[None]] = set()
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
        ready, joinings, fault = await self._begin_all(client, rooms)
        if fault is not None and not (joinings and isinstance(fault, NOT_THEIRS)):
            self._give_up(joinings)
            raise fault
        self._tell_ready(client, 0, ready)
        return joinings

    async def finish(self, stream: Line, joinings: Sequence[Joining]) -> None:
        """Every room that was begun is either listened to or let go of, whatever happens."""
        client: Client | None = stream.client
        for place, begun in enumerate(joinings):
            try:
                if client is None or not stream.is_open:
                    self._hall.feeds.unfollow(begun.room)
                else:
                    await self._finish(client, begun)
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
                    self._answer_beat(client, decision, beat)
                case Command():
                    self._enqueue(client, decision)

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
        if self._workers:
            await asyncio.wait(self._workers, timeout=COMMAND_SECONDS_MAX)

    # Commands.

    def _answer_beat(self, client: Client, command: Command, beat: realtime.Heartbeat) -> None:
        received_ms = time.time() * 1000
        heads = self._hall.hub.heads(client)
        client.tell(
            realtime.HeartbeatOk(
                id=command.id,
                n=beat.n,
                t0=beat.t0,
                t1=received_ms,
                t2=time.time() * 1000,
                heads=heads,
            )
        )

    def _enqueue(self, client: Client, command: Command) -> None:
        client.queue.append(command)
        if len(client.queue) >= QUEUE_HIGH:
            client.connection.hold_reading(True)
        if client.worker is None:
            client.worker = asyncio.create_task(self._work(client))
            self._workers.add(client.worker)
            client.worker.add_done_callback(self._workers.discard)

    async def _work(self, client: Client) -> None:
        """Until the queue is empty: idle sockets have no task."""
        try:
            while client.queue:
                await self._serve(client, client.queue.pop(0))
                if len(client.queue) <= QUEUE_LOW:
                    client.connection.hold_reading(False)
        finally:
            client.worker = None

    async def _serve(self, client: Client, command: Command) -> None:
        try:
            permission = PERMISSIONS.get(command.op)
            if permission is not None and client.principal is not None:
                client.principal.check_scope(permission)
            match command.body:
                case realtime.Hello() as hello:
                    await self._greet(client, command, hello)
                case realtime.Refresh(token):
                    await self._refresh(client, command, token)
                case realtime.Subscribe() as wanted:
                    await self._subscribe(client, command, wanted)
                case realtime.Unsubscribe():
                    self._unsubscribe(client, command)
                case realtime.Typing():
                    self._pass_typing(client, command)
                case realtime.SetPresence(status):
                    self._set_presence(client, command, status)
                case _:
                    await self._change(client, command)
        except Exception as error:
            self._refuse(client, command, error)

    def _refuse(self, client: Client, command: Command, error: BaseException) -> None:
        failure = failure_of(error)
        if failure.code == "internal":
            log.error("socket.command_failed", op=command.op, exc_info=error)
        client.tell(realtime.Refused(command.id, failure))

    async def _change(self, client: Client, command: Command) -> None:
        assert client.principal is not None
        if not sampled(self._options.trace_sample_ratio, None):
            ok = await perform(self._desk, client.principal, command)
        else:
            with span(f"socket {command.op}", kind=SpanKind.SERVER, headers={}):
                ok = await perform(self._desk, client.principal, command)
        client.tell(realtime.Accepted(command.id, ok))

    async def _greet(self, client: Client, command: Command, hello: realtime.Hello) -> None:
        connection = client.connection
        try:
            admitted = await admit(self._knocks, self._door, hello)
        except (InvalidToken, TicketRefused, SessionEnded, PersonSuspended) as error:
            client.tell(realtime.Refused(command.id, failure_of(error)))
            connection.close(*_close_of(error))
            return
        except Exception as error:
            # Hello is said once: who cannot be let in now comes again with a new socket.
            self._refuse(client, command, error)
            connection.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            return
        if not connection.is_open:
            return
        client.principal = admitted.principal
        client.expires_at = admitted.expires_at
        self._strangers -= 1
        self._register(client)
        ready, joinings, fault = await self._begin_all(client, hello.resume.rooms)
        if fault is not None and not isinstance(fault, NOT_THEIRS):
            self._give_up(joinings)
            self._refuse(client, command, fault)
            connection.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            return
        self._tell_ready(client, command.id, ready)
        for begun in joinings:
            await self._finish(client, begun)

    async def _begin_all(
        self, client: Client, cursors: Mapping[UUID, realtime.Cursor | None]
    ) -> tuple[list[realtime.RoomReady], list[Joining], BaseException | None]:
        """All rooms at once, so that they are looked up together: what is said of each, those that
        go on, and why others do not. A fault of ours counts before a refusal.
        """
        outcomes = await asyncio.gather(
            *(self._begin(client, room, cursor) for room, cursor in cursors.items()),
            return_exceptions=True,
        )
        joinings = [each for each in outcomes if isinstance(each, Joining)]
        refusals = [each for each in outcomes if not isinstance(each, Joining)]
        ready: list[realtime.RoomReady] = []
        for room, outcome in zip(cursors, outcomes, strict=True):
            if isinstance(outcome, Joining):
                ready.append(outcome.announcement())
            else:
                client.session.leave(room)
                ready.append(realtime.RoomReady(room=room, result="gone"))
        faults = [each for each in refusals if not isinstance(each, NOT_THEIRS)]
        return ready, joinings, next(iter([*faults, *refusals]), None)

    async def _begin(self, client: Client, room: UUID, cursor: realtime.Cursor | None) -> Joining:
        assert client.principal is not None
        client.principal.check_scope(PERMISSIONS["room.sub"])
        return await joining.begin(self._hall, client.principal, room, cursor)

    def _give_up(self, joinings: Sequence[Joining]) -> None:
        for begun in joinings:
            self._hall.feeds.unfollow(begun.room)

    def _tell_ready(self, client: Client, command_id: int, rooms: list[realtime.RoomReady]) -> None:
        client.tell(
            realtime.Ready(
                id=command_id,
                conn=client.id,
                user=client.user_id,
                rooms=rooms,
                exp=_milliseconds(client.expires_at),
            )
        )

    async def _refresh(self, client: Client, command: Command, token: str) -> None:
        assert client.principal is not None
        admitted = await readmit(self._knocks, self._door, client.principal, token)
        client.principal = admitted.principal
        client.expires_at = admitted.expires_at
        client.warned_of_expiry = False
        ok = {"exp": _milliseconds(client.expires_at)}
        client.tell(realtime.Accepted(command.id, ok))

    async def _subscribe(
        self, client: Client, command: Command, wanted: realtime.Subscribe
    ) -> None:
        room = command.room
        assert room is not None
        assert client.principal is not None
        cursor = None
        if wanted.ep is not None and wanted.seq is not None:
            cursor = realtime.Cursor(ep=wanted.ep, seq=wanted.seq)
        try:
            begun = await joining.begin(self._hall, client.principal, room, cursor)
        except BaseException:
            self._let_go(client, room)
            client.session.leave(room)
            raise
        self._let_go(client, room)
        client.tell(realtime.Accepted(command.id, begun.announcement()))
        await self._finish(client, begun)

    async def _finish(self, client: Client, begun: Joining) -> None:
        assert client.principal is not None
        try:
            await joining.finish(self._hall, client.principal, begun, client.connection, client)
        except (RoomNotFound, NotMember, Banned) as error:
            client.revoke(begun.room, failure_of(error).code)

    def _unsubscribe(self, client: Client, command: Command) -> None:
        assert command.room is not None
        self._let_go(client, command.room)
        client.session.leave(command.room)
        client.tell(realtime.Accepted(command.id, {}))

    def _pass_typing(self, client: Client, command: Command) -> None:
        """The sender knows already."""
        assert command.room is not None
        if command.room not in self._hall.hub.rooms_of(client):
            raise NotMember
        if self._desk.gate.take_typing(command.room):
            tell_typing(self._desk.recording.signals, command.room, client.user_id)
        client.tell(realtime.Accepted(command.id, {}))

    def _set_presence(self, client: Client, command: Command, status: DeviceStatus) -> None:
        if status != client.status:
            client.status = status
            for room in self._hall.hub.rooms_of(client):
                self._hall.board.changed(room)
        client.tell(realtime.Accepted(command.id, {}))

    # Bookkeeping.

    def _let_go(self, client: Client, room: UUID) -> None:
        if room in self._hall.hub.rooms_of(client):
            self._hall.hub.leave(room, client)
            self._hall.feeds.unfollow(room)

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


def devices(hub: Hub, room: UUID) -> Iterator[tuple[UUID, DeviceStatus]]:
    """The sockets of a room as its presence counts them."""
    for member in hub.audience(room) or ():
        assert isinstance(member, Client)
        yield member.user_id, member.status


def _close_of(refusal: Exception) -> tuple[int, str]:
    match refusal:
        case PersonSuspended():
            return CLOSE_SUSPENDED, "account suspended"
        case SessionEnded():
            return CLOSE_SESSION_REVOKED, "session revoked"
        case TokenExpired():
            return CLOSE_TOKEN_EXPIRED, "token expired"
    return CLOSE_TOKEN_EXPIRED, "not admitted"


def _now_ms() -> int:
    return int(time.time() * 1000)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
