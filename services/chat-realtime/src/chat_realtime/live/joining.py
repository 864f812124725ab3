"""Bring one socket into one room without a hole: follow first, then read, then drop duplicates.

`begin` decides what the client is owed; `finish` sends it and hands over to the live feed. Between
the two the caller announces what is coming.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec
from seda_contracts import realtime
from seda_db import Database
from seda_identity import Principal, Role
from seda_runtime.clock import Clock

from chat_realtime.live.feed import Feeds, Listening
from chat_realtime.live.framing import encode, text_frame
from chat_realtime.live.hub import Hub
from chat_realtime.live.line import Line
from chat_realtime.live.together import Together
from chat_realtime.log import operations as log_operations
from chat_realtime.log.domain import Position, encode_event
from chat_realtime.log.operations import REPLAY_ENTRIES_MAX
from chat_realtime.log.store import positions
from chat_realtime.presence.board import Board
from chat_realtime.rooms import store as rooms_store
from chat_realtime.rooms.domain import RoomNotFound, Standing
from chat_realtime.rooms.operations import standing_of

REPLAY_WRITE_EVENTS = 50
"""Events per write while replaying, with a look at the client's pace between."""


@dataclass(frozen=True, slots=True)
class Look:
    """The question how a person stands in a room, and where the room stands."""

    room: UUID
    principal: Principal


Looks = Together[Look, tuple[Standing, Position]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """The live parts that joining works on."""

    db: Database
    hub: Hub
    feeds: Feeds
    board: Board
    looks: Looks
    now: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """A room that was read for one socket, which does not listen yet."""

    room: UUID
    result: realtime.ReplayResult
    position: Position
    events: Sequence[bytes]

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

    What the feed has heard since comes from its memory; the rights and the log are read again when
    the feed knows of newer rights, or no longer has what was missed.
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
            if feed.acl <= position.acl:
                if audience.head <= position.seq:
                    break
                since = feed.ring.between(position.seq, audience.head)
                if since is not None:
                    position = msgspec.structs.replace(position, seq=audience.head)
                    joining = replace(joining, position=position, events=since)
                    continue
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
    standing, position = await hall.looks.ask(Look(room, principal))
    standing.check_member(hall.now())
    current = Joining(room=room, result="current", position=position, events=())
    if cursor is None or (cursor.ep == position.epoch and cursor.seq == position.seq):
        return current
    if cursor.ep != position.epoch or not 0 < position.seq - cursor.seq <= REPLAY_ENTRIES_MAX:
        return replace(current, result="snapshot")
    # Nothing above the position is sent: up to it this person was a member just now.
    events = await hall.feeds.missed(room, after_seq=cursor.seq, position=position)
    if events is None:
        return await _read_log(hall, principal, room, cursor)
    return replace(current, result="replay", events=events)


async def _read_log(
    hall: Hall, principal: Principal, room: UUID, cursor: realtime.Cursor
) -> Joining:
    """Rights, position and events of one moment."""
    async with hall.db.read() as tx:
        (await standing_of(tx, room, principal)).check_member(hall.now())
        position = (await positions(tx, [room]))[room]
        missed = await log_operations.missed(tx, room, after_seq=cursor.seq)
    events = [encode_event(event) for event in missed]
    if len(events) < position.seq - cursor.seq:
        # It went on while we looked, further than is replayed.
        return Joining(room=room, result="snapshot", position=position, events=())
    return Joining(room=room, result="replay", position=position, events=events)


async def look(db: Database, looks: Sequence[Look]) -> list[tuple[Standing, Position] | Exception]:
    """How people stand in rooms, and where the rooms stand, all of one moment."""
    who = {(each.room, each.principal.require_user()): False for each in looks}
    async with db.read() as tx:
        standings = await rooms_store.standings(tx, who)
        at = await positions(tx, list({each.room for each in looks}))
    return [_seen(each, standings, at) for each in looks]


def _seen(
    asked: Look,
    standings: Mapping[tuple[UUID, UUID], Standing],
    at: Mapping[UUID, Position],
) -> tuple[Standing, Position] | Exception:
    standing = standings.get((asked.room, asked.principal.require_user()))
    if standing is None:
        return RoomNotFound()
    # Sockets of one person may be of different roles for a moment.
    is_admin = asked.principal.role >= Role.ADMIN
    return replace(standing, is_platform_admin=is_admin), at[asked.room]


async def _replay(connection: Line, events: Sequence[bytes]) -> bool:
    """False when the client went away meanwhile."""
    for start in range(0, len(events), REPLAY_WRITE_EVENTS):
        if not await connection.writable():
            return False
        chunk = events[start : start + REPLAY_WRITE_EVENTS]
        connection.write(b"".join(text_frame(event) for event in chunk))
    return connection.is_open
