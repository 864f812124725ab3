"""Start and stop the live side of the process: hub, feeds, edge, listener, sweep.

Started inside the application's lifespan, in the loop that serves HTTP; works on any asyncio loop.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import msgspec
from seda_contracts import realtime
from seda_contracts.live import AUTHOR_SUBJECT, EVERY_USER_SUBJECT
from seda_contracts.realtime import PresenceState
from seda_db import Database, DatabaseUnavailable
from seda_identity import Principal
from seda_messaging import Bus
from seda_runtime.clock import Clock
from seda_runtime.logging import get_logger
from seda_runtime.stopping import Stopping

from chat_realtime.attention.domain import AttentionChanged
from chat_realtime.attention.store import unread
from chat_realtime.invites import store as invites_store
from chat_realtime.limits.gate import Gate
from chat_realtime.live import store
from chat_realtime.live.client import devices
from chat_realtime.live.commands import Desk
from chat_realtime.live.crowd import Crowd
from chat_realtime.live.domain import (
    RoleChangedNotice,
    SessionRevokedNotice,
    SocketsAsked,
    SocketsHere,
    SocketsSurplus,
    SuspendedNotice,
    UserNotice,
)
from chat_realtime.live.events import Cursors
from chat_realtime.live.feed import Feeds
from chat_realtime.live.framing import encode
from chat_realtime.live.hub import Hub
from chat_realtime.live.joining import Hall, look
from chat_realtime.live.listener import Listener, ListenerOptions
from chat_realtime.live.operations import Door
from chat_realtime.live.ring import RingOptions
from chat_realtime.live.session import SessionLimits
from chat_realtime.live.stream import StreamAnswer, StreamOptions
from chat_realtime.live.together import Together
from chat_realtime.live.websocket import SocketEdge, SocketOptions
from chat_realtime.log.operations import Recording
from chat_realtime.messages.posting import Posting
from chat_realtime.moderation.domain import MutedEverywhere
from chat_realtime.people.domain import AuthorChanged
from chat_realtime.people.store import card_with_revision
from chat_realtime.presence.board import Board, PresenceOptions
from chat_realtime.reports import store as reports_store
from chat_realtime.rooms.store import rooms_with_member
from chat_realtime.settings import Settings

log = get_logger(__name__)
FORGET_EVERY_SWEEPS = 60


@dataclass(slots=True)
class LiveSide:
    """What runs, for the lifespan that stops it and the tests that look."""

    hub: Hub
    feeds: Feeds
    edge: SocketEdge
    listener: Listener
    board: Board
    crowd: Crowd
    db: Database
    now: Clock
    stream_options: StreamOptions
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)
    unread: dict[UUID, set[UUID]] = field(default_factory=dict)
    """Rooms of which a person's devices are to be told how much is unread."""
    counting: set[UUID] = field(default_factory=set)

    def hear_user(self, payload: bytes) -> None:
        try:
            notice: UserNotice = msgspec.json.decode(payload, type=UserNotice)
        except msgspec.DecodeError:
            log.warning("live.undecodable", subject="user")
            return
        match notice:
            case SessionRevokedNotice(user_id=user_id, session_id=session_id):
                self.edge.end_session(user_id, session_id)
            case RoleChangedNotice(user_id=user_id, perm_version=perm_version):
                self.edge.end_role(user_id, perm_version)
            case SuspendedNotice(user_id=user_id, perm_version=perm_version):
                self.edge.end_account(user_id, perm_version)
            case SocketsAsked() | SocketsHere() | SocketsSurplus():
                self.crowd.hear(notice)
            case MutedEverywhere(user_id=user_id, until=until):
                code = "unmuted" if until is None else "muted"
                self.edge.tell_person(user_id, realtime.Notice(code=code, until=until))
            case AttentionChanged(user_id=user_id, room_id=room_id):
                if self.edge.is_here(user_id):
                    self._show_unread_soon(user_id, room_id)

    def hear_author(self, payload: bytes) -> None:
        try:
            changed = msgspec.json.decode(payload, type=AuthorChanged)
        except msgspec.DecodeError:
            log.warning("live.undecodable", subject="author")
            return
        task = asyncio.create_task(self._show_author(changed.user_id))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _show_unread_soon(self, user_id: UUID, room_id: UUID) -> None:
        """Notices that come while one is being answered are answered together by the next."""
        waiting = self.unread.setdefault(user_id, set())
        waiting.add(room_id)
        if user_id in self.counting:
            return
        self.counting.add(user_id)
        task = asyncio.create_task(self._show_unread(user_id))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _show_unread(self, user_id: UUID) -> None:
        """What is unread of some rooms, to every device of the person, wherever it listens."""
        try:
            while rooms := self.unread.pop(user_id, None):
                async with self.db.read() as tx:
                    counts = await unread(tx, user_id, room_ids=list(rooms), now=self.now())
                for each in counts:
                    self.edge.show_unread(user_id, each)
        except DatabaseUnavailable:
            pass  # the next notice, or the next look at the list, has it
        finally:
            self.unread.pop(user_id, None)
            self.counting.discard(user_id)

    async def _show_author(self, user_id: UUID) -> None:
        """The card as it is now to every local room the person is in, one change at a time."""
        async with self.showing:
            try:
                async with self.db.read() as tx:
                    rooms = await rooms_with_member(tx, user_id, self.feeds.rooms())
                    card, revision = await card_with_revision(tx, user_id)
            except DatabaseUnavailable:
                return  # a name shown late is no loss; the next history has it
            for room in rooms:
                state = realtime.StateFrame(room=room, t="author", rev=revision, d=card)
                self.hub.publish_state(room, f"author:{user_id}", encode(state))

    def begin_drain(self, window_seconds: float) -> None:
        self.listener.stop_accepting()
        self.edge.start_drain(window_seconds)

    def listen(self, principal: Principal, rooms: Cursors) -> StreamAnswer:
        return StreamAnswer(self.edge, self.stream_options, principal, rooms)

    async def look(self, room: UUID) -> PresenceState:
        return await self.board.look(room, self.feeds.following)

    async def sweep(self) -> None:
        """Mend what lost signals left: rooms behind their log, sockets that should be closed."""
        await self.feeds.sweep()
        sessions: dict[UUID, UUID] = self.edge.session_ids()
        if sessions:
            async with self.db.read() as tx:
                revoked = await store.revoked_among(tx, list(sessions))
                user_ids = self.edge.user_ids()
                suspended = await store.suspended_among(tx, user_ids, now=self.now())
                perm_versions = await store.perm_versions(tx, user_ids)
            for user_id, perm_version in suspended.items():
                self.edge.end_account(user_id, perm_version)
            for session_id in revoked:
                self.edge.end_session(sessions[session_id], session_id)
            for user_id, perm_version in perm_versions.items():
                self.edge.end_role(user_id, perm_version)


@asynccontextmanager
async def run_live(
    settings: Settings,
    *,
    bus: Bus,
    db: Database,
    recording: Recording,
    posting: Posting,
    gate: Gate,
    door: Door,
    stopping: Stopping,
) -> AsyncIterator[LiveSide]:
    """Listening when entered; drained and closed when left. Needs an open bus."""
    loop = asyncio.get_running_loop()
    hub = Hub(loop.call_soon)
    board = Board(
        bus,
        recording.signals,
        partial(devices, hub),
        hub.publish_state,
        PresenceOptions(lease_seconds=settings.presence_lease_seconds),
        loop,
    )
    hub.changed = board.changed
    feeds = Feeds(hub, bus, db, board, _ring_options(settings), now=recording.now)
    edge = SocketEdge(
        _socket_options(settings),
        Hall(
            db=db,
            hub=hub,
            feeds=feeds,
            board=board,
            looks=Together(partial(look, db)),
            now=recording.now,
        ),
        Desk(db=db, recording=recording, posting=posting, gate=gate),
        door,
    )
    listener = Listener(_listener_options(settings), edge)
    listener.is_busy = edge.is_busy
    crowd = Crowd(
        recording.signals,
        edge.socket_ids,
        edge.end_sockets,
        sockets_max=settings.sockets_per_user_max,
    )
    edge.came = crowd.opened
    live = LiveSide(
        hub=hub,
        feeds=feeds,
        edge=edge,
        listener=listener,
        board=board,
        crowd=crowd,
        db=db,
        now=recording.now,
        stream_options=_stream_options(settings),
    )
    await bus.subscribe_live(EVERY_USER_SUBJECT, lambda _, payload: live.hear_user(payload))
    await bus.subscribe_live(AUTHOR_SUBJECT, lambda _, payload: live.hear_author(payload))
    await bus.flush()
    await listener.start()
    log.info("socket.listening", port=listener.port)
    stopped = asyncio.create_task(_drain_when_told(live, stopping, settings.drain_window_seconds))
    sweeping = asyncio.create_task(_sweep_forever(live, settings.sweep_seconds))
    try:
        async with board.run():
            yield live
    finally:
        stopped.cancel()
        live.begin_drain(settings.drain_window_seconds)
        await edge.finish_commands()
        await listener.empty(within_seconds=settings.drain_window_seconds)
        edge.end_streams()
        sweeping.cancel()
        await asyncio.gather(sweeping, *live.tasks, return_exceptions=True)
        await listener.close()
        await feeds.close()


async def _drain_when_told(live: LiveSide, stopping: Stopping, window_seconds: float) -> None:
    """Streams have to end before the server shuts the application down: it waits for them."""
    await stopping.wait()
    live.begin_drain(window_seconds)


async def _sweep_forever(live: LiveSide, every_seconds: float) -> None:
    sweeps = 0
    while True:
        await asyncio.sleep(every_seconds)
        sweeps += 1
        try:
            await live.sweep()
            if sweeps % FORGET_EVERY_SWEEPS == 0:
                async with live.db.begin() as tx:
                    await store.forget_expired(tx, now=live.now())
                    await invites_store.forget_expired(tx, now=live.now())
                    await reports_store.forget_words(tx, now=live.now())
        except DatabaseUnavailable:
            log.warning("live.sweep_failed")


def _listener_options(settings: Settings) -> ListenerOptions:
    return ListenerOptions(
        host=settings.socket_host or settings.host,
        port=settings.socket_port,
        origins=settings.socket_origins,
        frame_bytes_max=settings.frame_bytes_max,
        stall_seconds_max=settings.stall_seconds_max,
        tick_seconds=settings.socket_tick_seconds,
        deflate=settings.socket_deflate,
        reuse_port=settings.socket_reuse_port,
    )


def _stream_options(settings: Settings) -> StreamOptions:
    return StreamOptions(
        stall_seconds_max=settings.stall_seconds_max,
        keepalive_seconds=settings.stream_keepalive_seconds,
        tick_seconds=settings.socket_tick_seconds,
    )


def _ring_options(settings: Settings) -> RingOptions:
    return RingOptions(
        ring_events_max=settings.ring_events_max,
        ring_bytes_max=settings.ring_bytes_max,
        rings_bytes_max=settings.rings_bytes_max,
    )


def _socket_options(settings: Settings) -> SocketOptions:
    return SocketOptions(
        limits=SessionLimits(
            hello_timeout_seconds=settings.hello_timeout_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
            heartbeat_grace_seconds=settings.heartbeat_grace_seconds,
            rooms_max=settings.rooms_per_socket_max,
            frame_bytes_max=settings.frame_bytes_max,
            commands_per_second=settings.commands_per_second,
            commands_burst=settings.commands_burst,
        ),
        sockets_per_user_max=settings.sockets_per_user_max,
        streams_max=settings.streams_max,
        hellos_waiting_max=settings.hellos_waiting_max,
        trace_sample_ratio=settings.trace_sample_ratio,
        build=settings.version,
    )
