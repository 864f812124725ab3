"""Commands of clients to operations, their outcomes back as frames.

One client is served one command at a time, in order; clients are served beside each other. What is
not awaited here is done by the hub and the feeds.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from opentelemetry.trace import SpanKind
from seda_contracts import realtime
from seda_identity.principal import ScopeMissing
from seda_identity.tokens import InvalidToken, TokenExpired
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import sampled, span
from websockets.frames import CloseCode

from chat_realtime.live import joining
from chat_realtime.live.client import Client
from chat_realtime.live.commands import PERMISSIONS, Desk, perform
from chat_realtime.live.domain import PersonSuspended, RoomGone, SessionEnded, TicketRefused
from chat_realtime.live.failures import failure_of
from chat_realtime.live.joining import Hall, Joining
from chat_realtime.live.operations import Door, Knocks, admit, readmit, tell_typing
from chat_realtime.live.session import (
    CLOSE_SESSION_REVOKED,
    CLOSE_SUSPENDED,
    CLOSE_TOKEN_EXPIRED,
    Command,
)
from chat_realtime.presence.domain import DeviceStatus
from chat_realtime.rooms.domain import Banned, NotMember, RoomNotFound

log = get_logger(__name__)
QUEUE_HIGH = 32
QUEUE_LOW = 8
COMMAND_SECONDS_MAX = 5
NOT_THEIRS = (RoomGone, RoomNotFound, NotMember, Banned, ScopeMissing)
"""A room that somebody who comes back may not hear; anything else says that nobody could ask."""


class Serving:
    """What clients ask for, done. `let_in` is told of everyone whose hello was accepted."""

    def __init__(
        self,
        hall: Hall,
        desk: Desk,
        door: Door,
        knocks: Knocks,
        let_in: Callable[[Client], None],
        *,
        trace_sample_ratio: float,
    ) -> None:
        self._hall = hall
        self._desk = desk
        self._door = door
        self._knocks = knocks
        self._let_in = let_in
        self._trace_sample_ratio = trace_sample_ratio
        self._workers: set[asyncio.Task[None]] = set()

    def answer_beat(self, client: Client, command: Command, beat: realtime.Heartbeat) -> None:
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

    def enqueue(self, client: Client, command: Command) -> None:
        client.queue.append(command)
        if len(client.queue) >= QUEUE_HIGH:
            client.connection.hold_reading(True)
        if client.worker is None:
            client.worker = asyncio.create_task(self._work(client))
            self._workers.add(client.worker)
            client.worker.add_done_callback(self._workers.discard)

    async def finish_all(self) -> None:
        """What was begun is committed and answered before the process goes."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=COMMAND_SECONDS_MAX)

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
        if not sampled(self._trace_sample_ratio, None):
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
        self._let_in(client)
        ready, joinings, fault = await self.begin_all(client, hello.resume.rooms)
        if fault is not None and not isinstance(fault, NOT_THEIRS):
            self.give_up(joinings)
            self._refuse(client, command, fault)
            connection.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            return
        self.tell_ready(client, command.id, ready)
        for begun in joinings:
            await self.finish(client, begun)

    async def begin_all(
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

    def give_up(self, joinings: Sequence[Joining]) -> None:
        for begun in joinings:
            self._hall.feeds.unfollow(begun.room)

    def tell_ready(self, client: Client, command_id: int, rooms: list[realtime.RoomReady]) -> None:
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
        await self.finish(client, begun)

    async def finish(self, client: Client, begun: Joining) -> None:
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

    def _let_go(self, client: Client, room: UUID) -> None:
        if room in self._hall.hub.rooms_of(client):
            self._hall.hub.leave(room, client)
            self._hall.feeds.unfollow(room)


def _close_of(refusal: Exception) -> tuple[int, str]:
    match refusal:
        case PersonSuspended():
            return CLOSE_SUSPENDED, "account suspended"
        case SessionEnded():
            return CLOSE_SESSION_REVOKED, "session revoked"
        case TokenExpired():
            return CLOSE_TOKEN_EXPIRED, "token expired"
    return CLOSE_TOKEN_EXPIRED, "not admitted"


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
