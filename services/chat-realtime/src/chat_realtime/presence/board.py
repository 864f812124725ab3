"""The presence board of one process: hears what the others say of rooms, says what it has itself.

It stands on core NATS alone. Words may be lost: the newest replaces all before it, each is said
again now and then, and a process nobody hears any more is forgotten when its lease ends. So nobody
is shown who has been gone longer than the lease, and no database is asked.

The first change of a room is told at once, those that follow within `gather_seconds` together after
it: when a hundred people come back, each has all the others as readers.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import msgspec
from seda_contracts.live import NODE_SUBJECT, room_subject
from seda_contracts.realtime import PresenceState, StateFrame
from seda_messaging import Bus
from seda_runtime.ids import uuid7
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import counter

from chat_realtime.presence.domain import (
    DeviceStatus,
    Here,
    NodeLives,
    RoomPresence,
    Who,
    Word,
    here,
)
from chat_realtime.signals import Signals

log = get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Word).decode
_decode_node = msgspec.json.Decoder(NodeLives).decode
_expired = counter("seda_chat_presence_nodes_expired", "Processes whose lease ended unrenewed.")

Devices = Callable[[UUID], Iterable[tuple[UUID, DeviceStatus]]]
"""The local sockets of a room: whose, and what each device says of itself."""
Show = Callable[[UUID, str, bytes, Callable[[], bytes]], None]
"""Give a change of a state to the local sockets of a room, under the key of the state. The last
argument makes the whole for those who miss a change.
"""

Follow = Callable[[UUID], AbstractAsyncContextManager[None]]
"""Hear a room for as long as the context lasts."""
Look = Callable[[UUID], Awaitable[PresenceState]]


class Timing(Protocol):
    """Of an event loop, what the board needs to wait."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[UUID], None], room: UUID, /) -> "Due": ...


class Due(Protocol):
    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceOptions:
    lease_seconds: float = 15
    """How long a process that fell silent is believed in."""
    gather_seconds: float = 0.035
    """For how long the changes of a room are gathered that follow what was told. One may have to
    wait at its own process and once more at its reader's: both together stay below the 75 ms that
    presence may take.
    """
    full_room_seconds: float = 1
    """How often at the most a room with more people than are named is told anew."""
    answer_seconds: float = 0.1
    """How long to wait for the other processes when a room was not followed until now."""
    renewals_per_lease: int = 3
    renewals_per_word: int = 6
    """How many renewals pass before everything is said again, which mends lost words."""


class Board:
    """Call `changed` whenever somebody comes, goes or changes status in a room of this process."""

    def __init__(
        self,
        bus: Bus,
        signals: Signals,
        devices: Devices,
        show: Show,
        options: PresenceOptions,
        timing: Timing,
    ) -> None:
        self._bus = bus
        self._signals = signals
        self._devices = devices
        self._show = show
        self._options = options
        self._node = uuid7()
        self._rev = 0
        self._rooms: dict[UUID, RoomPresence] = {}
        self._heard_at: dict[UUID, float] = {}
        self._expired: set[UUID] = set()
        self._due: dict[UUID, Due] = {}
        self._unsaid: set[UUID] = set()
        """Rooms whose local people have changed since the other processes were told."""
        self._told_at: dict[UUID, float] = {}
        self._timing = timing

    # What the feeds tell.

    def opened(self, room: UUID) -> None:
        """This process follows the room from now on."""
        self._rooms[room] = RoomPresence()
        self._signals.publish(room_subject(room), _encode(Who(node=self._node)))

    def closed(self, room: UUID) -> None:
        due = self._due.pop(room, None)
        if due is not None:
            due.cancel()
        if room in self._unsaid:
            self._say(room)
        self._rooms.pop(room, None)
        self._told_at.pop(room, None)

    def hear(self, room: UUID, payload: bytes) -> None:
        """A word of another process on the room's subject, or the echo of our own."""
        known = self._rooms.get(room)
        if known is None:
            return
        try:
            word: Word = _decode(payload)
        except msgspec.DecodeError:
            log.warning("presence.undecodable", room=str(room))
            return
        if word.node == self._node:
            return
        self._heard_at[word.node] = self._timing.time()
        if isinstance(word, Who):
            if known.has_people_of(self._node):
                self._say(room)
        elif known.hear(word):
            self._schedule(room)

    # What the sockets tell.

    def changed(self, room: UUID) -> None:
        """Told at the end of this turn, or with those that follow soon after what was told."""
        if room in self._rooms:
            self._unsaid.add(room)
            self._schedule(room)

    def whole(self, room: UUID) -> StateFrame:
        """What a newcomer is told first: what the others were shown, from which changes go on.

        What is known besides may be taken back before it is told, and then nobody is told of it.
        """
        known = self._rooms.get(room) or RoomPresence()
        return _frame(room, known.rev, known.shown)

    async def look(self, room: UUID, follow: Follow) -> PresenceState:
        """The room for somebody without a socket in it, followed for a moment if it was not."""
        was_followed = room in self._rooms
        async with follow(room):
            if not was_followed:
                await asyncio.sleep(self._options.answer_seconds)
            return self._rooms[room].whole()

    # The life of the board.

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        await self._bus.subscribe_live(NODE_SUBJECT, lambda _, payload: self._hear_node(payload))
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self) -> None:
        options = self._options
        renewals = 0
        while True:
            reconnected = self._bus.reconnected()
            self._signals.publish(NODE_SUBJECT, _encode(NodeLives(node=self._node)))
            self._expire()
            if renewals % options.renewals_per_word == 0:
                self._say_everything()
            renewals += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.lease_seconds / options.renewals_per_lease):
                    await reconnected.wait()
                    # What was said while the broker was away is lost, ours and theirs.
                    renewals = 0
                    self._ask_everybody()

    def _hear_node(self, payload: bytes) -> None:
        try:
            lives = _decode_node(payload)
        except msgspec.DecodeError:
            log.warning("presence.undecodable", subject="node")
            return
        if lives.node == self._node:
            return
        self._heard_at[lives.node] = self._timing.time()
        if lives.node in self._expired:
            # It was cut off, not dead: what it said before is forgotten here.
            self._expired.discard(lives.node)
            self._ask_everybody()

    def _expire(self) -> None:
        too_old = self._timing.time() - self._options.lease_seconds
        dead = [node for node, heard_at in self._heard_at.items() if heard_at <= too_old]
        if not dead:
            return
        _expired.add(len(dead))
        self._expired.update(dead)
        for node in dead:
            del self._heard_at[node]
        for room, known in self._rooms.items():
            if known.forget(dead):
                self._schedule(room)

    def _ask_everybody(self) -> None:
        for room in self._rooms:
            self._signals.publish(room_subject(room), _encode(Who(node=self._node)))

    def _say_everything(self) -> None:
        for room, known in self._rooms.items():
            if known.has_people_of(self._node):
                self._say(room)

    def _schedule(self, room: UUID) -> None:
        if room in self._due:
            return
        options = self._options
        is_full = not self._rooms[room].shown.complete
        told_at = self._told_at.get(room, -math.inf)
        at = told_at + (options.full_room_seconds if is_full else options.gather_seconds)
        # At the end of this turn even when nothing has to be waited for: one more may come in it.
        self._due[room] = self._timing.call_at(max(at, self._timing.time()), self._tell, room)

    def _tell(self, room: UUID) -> None:
        self._due.pop(room, None)
        known = self._rooms.get(room)
        if known is None:
            return
        if room in self._unsaid:
            self._say(room)
        self._told_at[room] = self._timing.time()
        for state in known.show():
            known.rev += 1
            frame = _frame(room, known.rev, state)
            self._show(room, "presence", _encode(frame), lambda: _encode(self.whole(room)))

    def _say(self, room: UUID) -> None:
        self._unsaid.discard(room)
        self._rev += 1
        word: Here = here(self._node, self._rev, self._devices(room))
        known = self._rooms[room]
        known.hear(word)
        self._signals.publish(room_subject(room), _encode(word))


def _frame(room: UUID, rev: int, state: PresenceState) -> StateFrame:
    return StateFrame(room=room, t="presence", rev=rev, d=state)
