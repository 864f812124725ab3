"""What keeps the local audiences true: live events in order, holes filled, rights asked again.

One core-NATS subscription per room with local members. An event that is the next of its room and of
the rights epoch we know goes straight to the hub. Anything else (a hole, a newer epoch) stops the
room, reads the log and the rights from PostgreSQL, removes who may no longer listen and goes on.
A sweep does the same for what was lost at the end, where no later event shows the hole. What was
delivered last stays in memory for those who come back (`ring.py`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import UUID

import msgspec
from seda_contracts import realtime
from seda_contracts.live import room_subject
from seda_contracts.realtime import EventFrame
from seda_db import Database, DatabaseUnavailable
from seda_messaging import Bus
from seda_messaging.bus import Unsubscribe
from seda_runtime.clock import Clock
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import counter

from chat_realtime.live.audience import Member
from chat_realtime.live.domain import RoomGone
from chat_realtime.live.framing import encode
from chat_realtime.live.hub import Hub
from chat_realtime.live.ring import Ring, RingOptions, Rings
from chat_realtime.log import operations as log_operations
from chat_realtime.log.domain import Position, encode_event, frames_of
from chat_realtime.log.operations import REPLAY_ENTRIES_MAX
from chat_realtime.log.store import positions
from chat_realtime.presence.board import Board
from chat_realtime.rooms import store as rooms_store

log = get_logger(__name__)
BROKER_SECONDS_MAX = 2
CATCH_UP_SECONDS_MAX = 0.25
"""How long somebody who comes back waits for the feed to hear what PostgreSQL has already."""
_repairs = counter("seda_chat_feed_repairs", "Rooms whose events were read from the log again.")


class Listening(Member, Protocol):
    """A member whose rights can end."""

    @property
    def user_id(self) -> UUID: ...

    def revoke(self, room: UUID, reason: str) -> None: ...


class _Glance(msgspec.Struct):
    """As much of a signal as decides its way; the rest passes through unparsed."""

    op: str
    seq: int = 0
    acl: int = 0
    t: str = ""


_glance = msgspec.json.Decoder(_Glance).decode


class Feed:
    """One room as this process follows it."""

    __slots__ = (
        "acl",
        "dirty",
        "epoch",
        "filling",
        "followers",
        "heard",
        "ready",
        "repair",
        "ring",
        "room",
        "unsubscribe",
    )

    def __init__(self, room: UUID, ring: Ring) -> None:
        self.room = room
        self.ring = ring
        self.followers = 0
        self.acl = 0
        self.epoch = ""
        self.heard: asyncio.Future[None] | None = None
        """Done at the next event, when somebody waits for it."""
        self.filling: asyncio.Task[None] | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.unsubscribe: Unsubscribe | None = None
        self.repair: asyncio.Task[None] | None = None
        self.dirty = False
        """Something was heard during a repair, which therefore has to read once more."""


class Feeds:
    """All rooms that somebody here listens to."""

    def __init__(
        self,
        hub: Hub,
        bus: Bus,
        db: Database,
        board: Board,
        options: RingOptions,
        *,
        now: Clock,
    ) -> None:
        self._hub = hub
        self.rings = Rings(options)
        self._board = board
        self._bus = bus
        self._db = db
        self._now = now
        self._feeds: dict[UUID, Feed] = {}

    def rooms(self) -> list[UUID]:
        return list(self._feeds)

    def feed(self, room: UUID) -> Feed:
        return self._feeds[room]

    async def follow(self, room: UUID) -> None:
        """Hear the room from now on. The subscription stands before any position is read, so an
        event is either in what is read afterwards or still to come. Raises RoomGone.
        """
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = Feed(room, self.rings.open(head=0))
            feed.followers += 1
            await self._open(feed)
            return
        feed.followers += 1
        await asyncio.shield(feed.ready)

    def unfollow(self, room: UUID) -> None:
        """The sweep hangs up when nobody follows; whoever comes back soon finds it open."""
        self._feeds[room].followers -= 1

    @asynccontextmanager
    async def following(self, room: UUID) -> AsyncIterator[None]:
        await self.follow(room)
        try:
            yield
        finally:
            self.unfollow(room)

    async def missed(self, room: UUID, *, after_seq: int, position: Position) -> list[bytes] | None:
        """The events up to a position that somebody has just been allowed to read, from memory.

        None when memory does not have them all. A room that is new to this process, or had to give
        up its place in memory, is read from the log once, for everyone who comes back to it.
        """
        feed = self._feeds[room]
        if position.epoch != feed.epoch or not await self._reaches(feed, position.seq):
            return None
        if after_seq < feed.ring.start:
            if feed.filling is None and not feed.ring.is_filled:
                feed.filling = asyncio.create_task(self._fill(feed))
            if feed.filling is not None:
                # Whoever goes away meanwhile does not take it from the others.
                await asyncio.shield(feed.filling)
        return feed.ring.between(after_seq, position.seq)

    async def sweep(self) -> None:
        """Compare every room with the database, and forget those nobody follows."""
        for feed in list(self._feeds.values()):
            if feed.followers == 0:
                await self._close(feed)
        if not self._feeds:
            return
        async with self._db.read() as tx:
            found = await positions(tx, self.rooms())
        for room, feed in list(self._feeds.items()):
            audience = self._hub.audience(room)
            position = found.get(room)
            if audience is None:
                continue
            if position is None or position.seq > audience.head or position.acl != feed.acl:
                self._start_repair(feed)

    async def close(self) -> None:
        for feed in list(self._feeds.values()):
            await self._close(feed)

    async def _open(self, feed: Feed) -> None:
        try:
            feed.unsubscribe = await self._bus.subscribe_live(
                room_subject(feed.room), lambda _, payload: self._hear(feed, payload)
            )
            await self._subscription_stands()
            async with self._db.read() as tx:
                position = (await positions(tx, [feed.room])).get(feed.room)
            if position is None:
                raise RoomGone
        except BaseException as error:
            self._forget(feed)
            if not feed.ready.done():
                feed.ready.set_exception(error if isinstance(error, Exception) else RoomGone())
                feed.ready.exception()  # there may be nobody else waiting
            if feed.unsubscribe is not None:
                await feed.unsubscribe()
            raise
        feed.acl = position.acl
        feed.epoch = position.epoch
        feed.ring.restart(position.seq)
        self._hub.open_room(feed.room, head=position.seq)
        self._board.opened(feed.room)
        feed.ready.set_result(None)
        if feed.dirty:
            self._start_repair(feed)

    async def _subscription_stands(self) -> None:
        """Wait for the broker to have it. One that is away holds nobody up: the subscription is
        made when it returns, and until then the sweep delivers.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._bus.flush(), BROKER_SECONDS_MAX)

    def _forget(self, feed: Feed) -> None:
        self._feeds.pop(feed.room, None)
        self.rings.close(feed.ring)

    async def _close(self, feed: Feed) -> None:
        self._forget(feed)
        if feed.repair is not None:
            feed.repair.cancel()
        self._hub.close_room(feed.room)
        self._board.closed(feed.room)
        if feed.unsubscribe is not None:
            await feed.unsubscribe()

    def _hear(self, feed: Feed, payload: bytes) -> None:
        if self._feeds.get(feed.room) is not feed:
            return
        if not feed.ready.done():
            # Either in the position that is being read or just after it: then look once more.
            feed.dirty = True
            return
        for frame in frames_of(payload):
            self._hear_frame(feed, frame)

    def _hear_frame(self, feed: Feed, frame: bytes) -> None:
        try:
            glance = _glance(frame)
        except msgspec.DecodeError:
            log.warning("live.undecodable", room=str(feed.room))
            return
        if glance.op == "ep":
            self._hub.publish_ephemeral(feed.room, frame)
        elif glance.op in ("here", "who"):
            self._board.hear(feed.room, frame)
        elif glance.op == "ev":
            self._hear_event(feed, glance, frame)

    def _hear_event(self, feed: Feed, glance: _Glance, payload: bytes) -> None:
        audience = self._hub.audience(feed.room)
        if audience is None or glance.seq <= audience.head:
            return
        if feed.repair is not None:
            feed.dirty = True
        elif glance.seq == audience.head + 1 and glance.acl == feed.acl:
            self._publish(feed, payload, seq=glance.seq, kind=glance.t)
        else:
            self._start_repair(feed)

    def _publish(self, feed: Feed, payload: bytes, *, seq: int, kind: str) -> None:
        feed.ring.append(payload, seq=seq, kind=kind)
        self._hub.publish(feed.room, payload, seq=seq)
        if feed.heard is not None:
            feed.heard.set_result(None)
            feed.heard = None

    async def _reaches(self, feed: Feed, seq: int) -> bool:
        """Wait a moment for what was committed and is on its way here. Not for ever: it may be
        lost, and then the log has it.
        """
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
                while feed.ring.head < seq:
                    if feed.heard is None:
                        feed.heard = asyncio.get_running_loop().create_future()
                    await asyncio.shield(feed.heard)
        except TimeoutError:
            return False
        return True

    async def _fill(self, feed: Feed) -> None:
        feed.ring.is_filled = True
        try:
            after_seq = max(0, feed.ring.head - REPLAY_ENTRIES_MAX)
            async with self._db.read() as tx:
                events = await log_operations.missed(tx, feed.room, after_seq=after_seq)
        except BaseException:
            feed.ring.is_filled = False
            raise
        finally:
            feed.filling = None
        if self._feeds.get(feed.room) is feed:
            feed.ring.fill(events)

    def _start_repair(self, feed: Feed) -> None:
        feed.dirty = True
        if feed.repair is None:
            feed.repair = asyncio.create_task(self._repair(feed))

    async def _repair(self, feed: Feed) -> None:
        """Until nothing was heard meanwhile. Without a database the room stands still: an event
        whose rights cannot be checked is not delivered.
        """
        _repairs.add(1)
        try:
            while feed.dirty and self._feeds.get(feed.room) is feed:
                feed.dirty = False
                await self._read_again(feed)
        except DatabaseUnavailable:
            log.warning("feed.repair_failed", room=str(feed.room))
        finally:
            feed.repair = None

    async def _read_again(self, feed: Feed) -> None:
        audience = self._hub.audience(feed.room)
        if audience is None:
            return
        listeners: list[Listening] = [member for member in audience]  # type: ignore[misc]
        async with self._db.read() as tx:
            position = (await positions(tx, [feed.room])).get(feed.room)
            permitted = await rooms_store.permitted_listeners(
                tx, feed.room, list({each.user_id for each in listeners}), now=self._now()
            )
            events = await log_operations.missed(tx, feed.room, after_seq=audience.head)
        if set(audience) - set(listeners):
            # Somebody came in while we read, with rights from before: look at everyone again.
            feed.dirty = True
            return
        for listener in listeners:
            if position is None or listener.user_id not in permitted:
                self._hub.leave(feed.room, listener)
                self.unfollow(feed.room)
                listener.revoke(feed.room, _reason(events, listener.user_id))
        if position is not None:
            feed.acl = position.acl
            self._deliver(feed, events, position)

    def _deliver(self, feed: Feed, events: Sequence[EventFrame], position: Position) -> None:
        audience = self._hub.audience(feed.room)
        assert audience is not None
        if events and events[-1].seq < position.seq:
            # More than one page behind: each client catches up by its own cursor.
            log.warning("feed.lagged", room=str(feed.room), entries=position.seq - audience.head)
            lagged = realtime.Lagged(room=feed.room, from_=audience.head)
            feed.ring.restart(position.seq)
            self._hub.publish(feed.room, encode(lagged), seq=position.seq)
            return
        for event in events:
            self._publish(feed, encode_event(event), seq=event.seq, kind=event.t)


def _reason(events: Sequence[EventFrame], user_id: UUID) -> str:
    """Why somebody lost the room: what the log says of it, if it is recent enough to say."""
    reasons = {"member.kicked": "kicked", "member.banned": "banned", "member.left": "left"}
    for event in reversed(events):
        if event.t in reasons and event.d.get("user_id") == str(user_id):
            return reasons[event.t]
    return "not_member"
