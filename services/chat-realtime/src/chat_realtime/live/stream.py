"""A stream of server-sent events, for clients whose way has no WebSocket: the frames of the socket
over one HTTP answer that goes on.

It is a line like a socket: a client that does not read costs 64 KiB here, is told `lagged` when it
reads again, and is cut after the same time. The hub, the feeds and the rights are the socket's own.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from litestar.types import Receive, Scope, Send
from seda_identity import Principal
from websockets.frames import CloseCode

from chat_realtime.live.events import KEEPALIVE, Cursors, Places, close_event, payloads_of
from chat_realtime.live.joining import Joining

BUFFER_HIGH_BYTES = 64 * 1024
BUFFER_LOW_BYTES = 16 * 1024
PIECE_BYTES_MAX = 16 * 1024
RETRY_MS_MIN, RETRY_MS_SPREAD = 1_000, 4_000
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class StreamEdge(Protocol):
    """What a stream tells. Calls come from the event loop, one at a time."""

    async def enter(
        self, stream: "EventStream", principal: Principal, rooms: Cursors
    ) -> Sequence[Joining]:
        """Raises what forbids this person to listen, to everything or to every room named."""
        ...

    async def finish(self, stream: "EventStream", joinings: Sequence[Joining]) -> None: ...
    def closed(self, stream: "EventStream") -> None: ...
    def paused(self, stream: "EventStream") -> None: ...
    def resumed(self, stream: "EventStream") -> None: ...
    def watched(self, stream: "EventStream") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    stall_seconds_max: float
    keepalive_seconds: float
    tick_seconds: float
    close_timeout_seconds: float = 1


class EventStream:
    """The line of one stream: frames go in at one end, bytes are taken out at the other."""

    def __init__(self, edge: StreamEdge, options: StreamOptions) -> None:
        self.client: Any = None
        self._edge = edge
        self._options = options
        self._places = Places()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._room_to_write = asyncio.Event()
        self._room_to_write.set()
        self._paused_at: float | None = None
        self._close_at: float | None = None
        self._sent_at = self._now()

    # What the edge calls.

    @property
    def deflates(self) -> bool:
        return False

    @property
    def is_open(self) -> bool:
        return self._close_at is None

    @property
    def is_stalled(self) -> bool:
        return self._paused_at is not None

    @property
    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    def write(self, frames: bytes) -> None:
        if self.is_open:
            for payload in payloads_of(frames):
                self._put(self._places.event(payload))
            self._look_at_pace()

    def send(self, payload: bytes) -> None:
        if self.is_open:
            self._put(self._places.event(payload))
            self._look_at_pace()

    async def writable(self) -> bool:
        if self.is_open:
            await self._room_to_write.wait()
        return self.is_open

    def hold_reading(self, hold: bool) -> None:
        """Nothing is read: commands go by their own requests."""

    def close(self, code: int, reason: str) -> None:
        """Say it as the last event, then give the client a moment to read it."""
        if self._close_at is None:
            self._close_at = self._now() + self._options.close_timeout_seconds
            self._put(close_event(code, reason))
            self._leave_edge()

    # What carries the bytes away.

    async def take(self) -> bytes | None:
        """What waits, in pieces; None after the last one."""
        while not self._waiting:
            if not self.is_open:
                return None
            self._news.clear()
            await self._news.wait()
        piece = self._waiting.pop(0)
        while self._waiting and len(piece) + len(self._waiting[0]) <= PIECE_BYTES_MAX:
            piece += self._waiting.pop(0)
        self._waiting_bytes -= len(piece)
        self._sent_at = self._now()
        if self._paused_at is not None and self._waiting_bytes <= BUFFER_LOW_BYTES:
            self._paused_at = None
            self._room_to_write.set()
            if self.client is not None:
                self._edge.resumed(self)
        return piece

    def ticked(self) -> bool:
        """False when the client had its moment after a close."""
        now = self._now()
        if self._close_at is not None:
            return now < self._close_at
        if self._paused_at is not None:
            if now - self._paused_at >= self._options.stall_seconds_max:
                self.close(CloseCode.TRY_AGAIN_LATER, "reads too slowly")
        elif not self._waiting and now - self._sent_at >= self._options.keepalive_seconds:
            self._put(KEEPALIVE)
        if self.client is not None:
            self._edge.watched(self)
        return True

    def lost(self) -> None:
        """The client hung up, or the answer is over."""
        if self._close_at is None:
            self._close_at = self._now()
        self._leave_edge()

    def _put(self, event: bytes) -> None:
        self._waiting.append(event)
        self._waiting_bytes += len(event)
        self._news.set()

    def _look_at_pace(self) -> None:
        if self._paused_at is None and self._waiting_bytes > BUFFER_HIGH_BYTES:
            self._paused_at = self._now()
            self._room_to_write.clear()
            if self.client is not None:
                self._edge.paused(self)

    def _leave_edge(self) -> None:
        self._room_to_write.set()
        self._news.set()
        if self.client is not None:
            self._edge.closed(self)
            self.client = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """The HTTP answer of one stream. What refuses it is raised before its first byte."""

    edge: StreamEdge
    options: StreamOptions
    principal: Principal
    rooms: Cursors

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        stream = EventStream(self.edge, self.options)
        try:
            joinings = await self.edge.enter(stream, self.principal, self.rooms)
            await self._run(stream, joinings, receive, send)
        finally:
            stream.lost()

    async def _run(
        self, stream: EventStream, joinings: Sequence[Joining], receive: Receive, send: Send
    ) -> None:
        tasks = [
            asyncio.create_task(self.edge.finish(stream, joinings)),
            asyncio.create_task(_carry(stream, send)),
            asyncio.create_task(_until_hung_up(receive)),
            asyncio.create_task(self._tick(stream)),
        ]
        try:
            await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stream.lost()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tick(self, stream: EventStream) -> None:
        """Deadlines, as the listener has them for its sockets."""
        while stream.ticked():  # noqa: ASYNC110 - nothing happens that could be waited for
            await asyncio.sleep(self.options.tick_seconds)


Listen = Callable[[Principal, Cursors], StreamAnswer]


async def _carry(stream: EventStream, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    retry_ms = RETRY_MS_MIN + secrets.randbelow(RETRY_MS_SPREAD)
    piece: bytes | None = b"retry: %d\n\n" % retry_ms
    while piece is not None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await stream.take()
    with contextlib.suppress(ConnectionError):
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
