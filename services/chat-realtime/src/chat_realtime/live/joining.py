"""Bring one socket into one room without a hole: follow first, then read, then drop duplicates.

`begin` decides what the client is owed; `finish` sends it and hands over to the live feed. Between
the two the caller announces what is coming.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from seda_contracts import realtime
from seda_contracts.realtime import EventFrame
from seda_db import Database
from seda_identity import Principal
from seda_runtime.clock import Clock

from chat_realtime.live.feed import Feeds, Listening
from chat_realtime.live.framing import encode, text_frame
from chat_realtime.live.hub import Hub
from chat_realtime.live.line import Line
from chat_realtime.log import operations as log_operations
from chat_realtime.log.domain import Position, encode_event
from chat_realtime.log.operations import REPLAY_ENTRIES_MAX
from chat_realtime.log.store import positions
from chat_realtime.presence.board import Board
from chat_realtime.rooms.operations import standing_of

REPLAY_WRITE_EVENTS = 50
"""Events per write while replaying, with a look at the client's pace between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """The live parts that joining works on."""

    db: Database
    hub: Hub
    feeds: Feeds
    board: Board
    now: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """A room that was read for one socket, which does not listen yet."""

    room: UUID
    result: realtime.ReplayResult
    position: Position
    events: Sequence[EventFrame]

    def announcement(self) -> realtime.RoomReady:
        return realtime.RoomReady(
            room=self.room,
            result=self.result,
            ep=self.position.epoch,
            head=self.position.seq,
            n=len(self.events),
        )


async def begin(
    hall: Hall, principal: Principal, room: UUID, cursor: realtime.Cursor | None
) -> Joining:
    """Raises RoomGone or what forbids this person to listen; then nothing is left behind."""
    await hall.feeds.follow(room)
    try:
        return await _read(hall, principal, room, cursor)
    except BaseException:
        hall.feeds.unfollow(room)
        raise


async def finish(
    hall: Hall, principal: Principal, joining: Joining, connection: Line, member: Listening
) -> None:
    """Send what was missed, then `live`. Raises what forbids listening, if that changed meanwhile.

    The log is read again while the feed is ahead of what was read, or knows of newer rights.
    """
    try:
        while True:
            if not await _replay(connection, joining.events):
                hall.feeds.unfollow(joining.room)
                return
            position = joining.position
            audience = hall.hub.audience(joining.room)
            feed = hall.feeds.feed(joining.room)
            if audience is None:
                raise AssertionError("a followed room has an audience")
            if audience.head <= position.seq and feed.acl <= position.acl:
                break
            cursor = realtime.Cursor(ep=position.epoch, seq=position.seq)
            joining = await _read(hall, principal, joining.room, cursor)
    except BaseException:
        hall.feeds.unfollow(joining.room)
        raise
    # No await from the look at the feed to here: nothing can slip between.
    hall.hub.join(joining.room, member, after_seq=position.seq)
    live = realtime.Live(room=joining.room, head=position.seq)
    connection.send(encode(live))
    connection.send(encode(hall.board.whole(joining.room)))


async def _read(
    hall: Hall, principal: Principal, room: UUID, cursor: realtime.Cursor | None
) -> Joining:
    async with hall.db.read() as tx:
        (await standing_of(tx, room, principal)).check_member(hall.now())
        position = (await positions(tx, [room]))[room]
        current = Joining(room=room, result="current", position=position, events=())
        if cursor is None or (cursor.ep == position.epoch and cursor.seq == position.seq):
            return current
        missed = position.seq - cursor.seq
        if cursor.ep != position.epoch or not 0 < missed <= REPLAY_ENTRIES_MAX:
            return replace(current, result="snapshot")
        events = await log_operations.missed(tx, room, after_seq=cursor.seq)
        return replace(current, result="replay", events=events)


async def _replay(connection: Line, events: Sequence[EventFrame]) -> bool:
    """False when the client went away meanwhile."""
    for start in range(0, len(events), REPLAY_WRITE_EVENTS):
        if not await connection.writable():
            return False
        chunk = events[start : start + REPLAY_WRITE_EVENTS]
        connection.write(b"".join(text_frame(encode_event(event)) for event in chunk))
    return connection.is_open
