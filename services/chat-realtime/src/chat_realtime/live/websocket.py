"""The edge of the socket: decoded commands to operations, their outcomes back as frames.

One client is served one command at a time, in order; clients are served beside each other. What is
not awaited here is done by the hub and the feeds.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanKind
from seda_contracts import realtime
from seda_contracts.live import room_subject
from seda_identity import Principal
from seda_identity.tokens import InvalidToken, TokenExpired
from seda_runtime.ids import uuid7
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import gauge, sampled, span
from websockets.frames import CloseCode

from chat_realtime.attention.store import Unread
from chat_realtime.live import joining
from chat_realtime.live.commands import Desk, perform
from chat_realtime.live.domain import AccountSuspended, RoomGone, SessionEnded, TicketRefused
from chat_realtime.live.failures import failure_of
from chat_realtime.live.framing import encode
from chat_realtime.live.hub import Hub
from chat_realtime.live.joining import Hall, Joining
from chat_realtime.live.listener import Connection
from chat_realtime.live.operations import Door, Knocks, admit, judge, readmit
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
from chat_realtime.presence.domain import DeviceStatus
from chat_realtime.rooms.domain import Banned, NotMember, RoomNotFound

log = get_logger(__name__)
QUEUE_HIGH = 32
QUEUE_LOW = 8
COMMAND_SECONDS_MAX = 5
EXPIRY_NOTICE_SECONDS = 60
NOT_THEIRS = (RoomGone, RoomNotFound, NotMember, Banned)
"""A room that somebody who comes back may not hear; anything else says that nobody could ask."""
_sockets = gauge("seda_chat_sockets", "Open sockets that have said hello.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptions:
    limits: SessionLimits
    sockets_per_user_max: int
    hellos_waiting_max: int
    trace_sample_ratio: float
    build: str


class Client:
    """One socket and the person behind it, once there is one. The hub's member."""

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

    def __init__(self, connection: Connection, session: Session) -> None:
        self.id = uuid7()
        self.connection = connection
        self.session = session
        self.write: Callable[[bytes], None] = connection.write
        self.deflates = connection.deflates
        self.principal: Principal | None = None
        self.expires_at: datetime | None = None
        self.warned_of_expiry = False
        self.status: DeviceStatus = "online"
        self.queue: deque[Command] = deque()
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
        self._knocks: Knocks = Together(partial(judge, desk.db, door))
        self._by_user: dict[UUID, dict[Client, None]] = {}
        self._strangers = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def is_busy(self) -> bool:
        """As many have opened a socket and are not let in yet as are borne at once."""
        return self._strangers >= self._options.hellos_waiting_max

    def clients(self) -> list[Client]:
        return [client for clients in self._by_user.values() for client in clients]

    # What the listener tells.

    def opened(self, connection: Connection) -> None:
        limits = self._options.limits
        client = Client(connection, Session(limits, now=self._loop.time()))
        connection.client = client
        self._strangers += 1
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

    def received(self, connection: Connection, payload: bytes) -> None:
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

    def received_binary(self, connection: Connection, payload: bytes) -> None:
        connection.close(CloseCode.UNSUPPORTED_DATA, "text only")

    def closed(self, connection: Connection) -> None:
        client: Client = connection.client
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

    def paused(self, connection: Connection) -> None:
        self._hall.hub.pause(connection.client)

    def resumed(self, connection: Connection) -> None:
        self._hall.hub.resume(connection.client)

    def ticked(self, connection: Connection, now: float) -> None:
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
        """Give each socket its own moment to reconnect elsewhere, and close it there."""
        clients = self.clients()
        for place, client in enumerate(clients):
            delay_seconds = window_seconds * place / len(clients)
            client.tell(realtime.Drain(in_ms=int(delay_seconds * 1000)))
            self._loop.call_later(delay_seconds, client.connection.close, CLOSE_DRAINED, "drained")

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
                await self._serve(client, client.queue.popleft())
                if len(client.queue) <= QUEUE_LOW:
                    client.connection.hold_reading(False)
        finally:
            client.worker = None

    async def _serve(self, client: Client, command: Command) -> None:
        try:
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
        except (InvalidToken, TicketRefused, SessionEnded, AccountSuspended) as error:
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
        joinings = await self._begin_all(client, hello.resume.rooms)
        faults = [each for each in joinings.values() if isinstance(each, BaseException)]
        fault = next((each for each in faults if not isinstance(each, NOT_THEIRS)), None)
        if fault is not None:
            self._give_up(joinings)
            self._refuse(client, command, fault)
            connection.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            return
        rooms: list[realtime.RoomReady] = []
        for room, begun in joinings.items():
            if isinstance(begun, Joining):
                rooms.append(begun.announcement())
            else:
                client.session.leave(room)
                rooms.append(realtime.RoomReady(room=room, result="gone"))
        client.tell(
            realtime.Ready(
                id=command.id,
                conn=client.id,
                user=client.user_id,
                rooms=rooms,
                exp=_milliseconds(client.expires_at),
            )
        )
        for begun in joinings.values():
            if isinstance(begun, Joining):
                await self._finish(client, begun)

    async def _begin_all(
        self, client: Client, cursors: Mapping[UUID, realtime.Cursor]
    ) -> dict[UUID, Joining | BaseException]:
        """All rooms at once, so that they are looked up together."""
        assert client.principal is not None
        outcomes = await asyncio.gather(
            *(
                joining.begin(self._hall, client.principal, room, cursor)
                for room, cursor in cursors.items()
            ),
            return_exceptions=True,
        )
        return dict(zip(cursors, outcomes, strict=True))

    def _give_up(self, joinings: Mapping[UUID, Joining | BaseException]) -> None:
        for room, begun in joinings.items():
            if isinstance(begun, Joining):
                self._hall.feeds.unfollow(room)

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
        """To everyone who listens now, on every process; the sender knows already."""
        assert command.room is not None
        if command.room not in self._hall.hub.rooms_of(client):
            raise NotMember
        if self._desk.gate.take_typing(command.room):
            frame = realtime.EphemeralFrame(
                room=command.room, t="typing", d={"user_id": client.user_id}
            )
            self._desk.recording.signals.publish(room_subject(command.room), encode(frame))
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
            oldest.connection.close(CLOSE_CONNECTION_LIMIT, "too many sockets; this was the oldest")
            if theirs.pop(oldest, 0) is None:
                _sockets.add(-1)
        theirs = self._by_user.setdefault(client.user_id, theirs)
        theirs[client] = None
        _sockets.add(1)

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
        case AccountSuspended():
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
