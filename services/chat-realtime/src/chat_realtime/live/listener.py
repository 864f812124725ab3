"""The socket port: bytes of the network to messages of the protocol, and back.

Owns handshakes, Origin and path checks, reassembly of fragments, flow control, close deadlines and
the one timer of all connections. It does not understand a single message.

It stands on `websockets`' Sans-I/O `ServerProtocol` instead of an ASGI server because one prepared
frame must go straight to many transports (see infra/decisions).
"""

import asyncio
import codecs
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, cast

from seda_contracts import realtime
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from chat_realtime.live.framing import text_frame
from chat_realtime.live.session import CLOSE_VERSION

WRITE_HIGH_WATER_BYTES = 64 * 1024
WRITE_LOW_WATER_BYTES = 16 * 1024
KERNEL_SEND_BUFFER_BYTES = 64 * 1024
"""Without it the kernel hides a stalled reader for about 4 MB."""
OTHER_VERSIONS = "seda."
_SUBPROTOCOLS = [Subprotocol(realtime.SUBPROTOCOL)]
_LINGER_RESET = struct.pack("ii", 1, 0)
# Without contexts a compressed frame serves everyone, and no connection keeps a window.
_EXTENSIONS = [
    ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    host: str = "127.0.0.1"
    port: int = 0
    path: str = "/api/v1/realtime"
    origins: Sequence[str] = ()
    """Exact values. A request without Origin is no browser's and passes, unless it has cookies."""
    frame_bytes_max: int = 16 * 1024
    handshake_timeout_seconds: float = 5
    stall_seconds_max: float = 5
    """How long a full write buffer is borne before the socket is closed."""
    close_timeout_seconds: float = 1
    tick_seconds: float = 1
    deflate: bool = False
    """Whether permessage-deflate is agreed on with who offers it, each message by itself."""
    reuse_port: bool = False


class Edge(Protocol):
    """What the listener tells. Calls come from the event loop, one at a time."""

    def opened(self, connection: "Connection") -> None: ...
    def received(self, connection: "Connection", payload: bytes) -> None: ...
    def received_binary(self, connection: "Connection", payload: bytes) -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def paused(self, connection: "Connection") -> None: ...
    def resumed(self, connection: "Connection") -> None: ...
    def ticked(self, connection: "Connection", now: float) -> None: ...


class _Protocol(ServerProtocol):
    """The library's protocol, telling of every frame while it is parsed.

    From a list fetched after a whole chunk one cannot tell what came before a broken frame in it,
    which is to be answered, from what the broken frame ended.
    """

    def __init__(self, take_frame: Callable[[Frame], None], **options: Any) -> None:
        super().__init__(**options)
        self._take_frame = take_frame

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Ours, or none when none was asked for.

        A client of another version of ours gets what it asked for and then close code 4502: a
        browser does not show its page why a handshake was refused.
        """
        if not subprotocols:
            return None
        if realtime.SUBPROTOCOL in subprotocols:
            return Subprotocol(realtime.SUBPROTOCOL)
        for other in subprotocols:
            if other.startswith(OTHER_VERSIONS):
                return other
        raise NegotiationError(f"the subprotocol is {realtime.SUBPROTOCOL}")

    def forget_request(self) -> None:
        """The parser would keep it, with every header, for as long as the connection lives."""
        self.parser = self.parse()
        next(self.parser)

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            # RFC 6455, 5.4: a control frame may stand between the fragments of a message, and a
            # close frame is one. The library takes it for a broken message and answers 1002.
            self.current_size = None
        super().recv_frame(frame)
        self.events.clear()
        self._take_frame(frame)
        # The parser keeps the last frame until the next one comes.
        frame.data = b""


class Connection(asyncio.Protocol):
    """One client. `write` is the transport's own bound method, for frames made elsewhere."""

    __slots__ = (
        "_close_at",
        "_listener",
        "_message",
        "_opened_at",
        "_paused_at",
        "_protocol",
        "_reading_paused",
        "_room_to_write",
        "_transport",
        "_utf8",
        "client",
        "write",
    )

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        options = listener.options
        self._protocol = _Protocol(
            self._take_frame,
            origins=listener.origins,
            subprotocols=_SUBPROTOCOLS,
            max_size=options.frame_bytes_max,
            extensions=_EXTENSIONS if options.deflate else None,
        )
        self._message = bytearray()
        """The fragments so far, of a message that has more to come."""
        self._utf8: codecs.IncrementalDecoder | None = None
        """Of a fragmented text. None while there is none, and in a fragmented binary message."""
        self._opened_at = listener.now()
        self._paused_at: float | None = None
        self._close_at: float | None = None
        self._reading_paused = False
        self._room_to_write: asyncio.Future[None] | None = None
        self.client: Any = None
        """What the edge keeps with this connection."""

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES)
        self.write = self._transport.write
        self._listener.connections.add(self)
        self._listener.emptied.clear()

    def data_received(self, data: bytes) -> None:
        start = 0
        # Line by line until the request is answered: the parser would take for frames what follows
        # the request in the same chunk, and fail the connection before it can be answered.
        while self._protocol.state is State.CONNECTING and not self._protocol.eof_sent:
            end = data.find(b"\n", start) + 1 or len(data)
            self._protocol.receive_data(data[start:end])
            self._advance()
            start = end
            if start == len(data):
                return
        self._protocol.receive_data(data[start:] if start else data)
        self._advance()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._advance()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.forget(self)
        self._let_writers_go()
        if self.client is not None:
            self._listener.edge.closed(self)
            self.client = None

    def pause_writing(self) -> None:
        self._paused_at = self._listener.now()
        # Who does not read is not read either, so its commands cannot pile up replies.
        self._transport.pause_reading()
        if self.client is not None:
            self._listener.edge.paused(self)

    def resume_writing(self) -> None:
        self._paused_at = None
        self._let_writers_go()
        if not self._reading_paused and not self._transport.is_closing():
            self._transport.resume_reading()
        if self.client is not None:
            self._listener.edge.resumed(self)

    # What the edge calls.

    @property
    def is_open(self) -> bool:
        return self._protocol.state is State.OPEN and not self._transport.is_closing()

    @property
    def is_stalled(self) -> bool:
        """The client does not read: what may be left out is."""
        return self._paused_at is not None

    @property
    def deflates(self) -> bool:
        """Whether compressed frames may be written."""
        return bool(self._protocol.extensions)

    def send(self, payload: bytes) -> None:
        if self.is_open:
            self.write(text_frame(payload))

    async def writable(self) -> bool:
        """Wait while the client does not read. False when it is gone."""
        if self._paused_at is not None and self.is_open:
            if self._room_to_write is None:
                self._room_to_write = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room_to_write)
        return self.is_open

    def hold_reading(self, hold: bool) -> None:
        """Push back on a client whose commands come faster than they are done."""
        if hold == self._reading_paused or self._transport.is_closing():
            return
        self._reading_paused = hold
        if self._paused_at is None:
            if hold:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Send the close frame, then give the peer a moment to answer it."""
        if self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(code, reason)
        self._leave_edge()
        self._flush()
        self._expect_close()

    def ticked(self, now: float) -> None:
        options = self._listener.options
        if self._close_at is not None:
            if now >= self._close_at:
                self._end()
        elif self._protocol.state is State.CONNECTING:
            if now - self._opened_at >= options.handshake_timeout_seconds:
                self.abort()
        elif self._paused_at is not None and now - self._paused_at >= options.stall_seconds_max:
            self.close(CloseCode.TRY_AGAIN_LATER, "reads too slowly")
        elif self.client is not None:
            self._listener.edge.ticked(self, now)

    # Inside.

    def _advance(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
        self._flush()
        if self._protocol.state is not State.OPEN:
            self._leave_edge()
        if self._protocol.close_expected():
            self._expect_close()

    def _shake_hands(self, request: Request) -> None:
        response = _refusal(self._protocol, request, self._listener)
        if response is None:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if self._protocol.state is State.OPEN:
            self._protocol.forget_request()
            self._flush()
            if self._protocol.subprotocol not in (None, realtime.SUBPROTOCOL):
                self.close(CLOSE_VERSION, "the subprotocol is " + realtime.SUBPROTOCOL)
            else:
                self._listener.edge.opened(self)

    def _take_frame(self, frame: Frame) -> None:
        """Raises UnicodeDecodeError, which the parser answers with 1007."""
        # A pong leaves before replies to what came after its ping.
        self._flush()
        if frame.opcode is Opcode.CONT:
            self._take_fragment(frame)
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                payload = bytes(frame.data)
                if is_text:
                    payload.decode()
                self._tell_edge(payload, is_text=is_text)
            else:
                self._utf8 = codecs.getincrementaldecoder("utf-8")() if is_text else None
                self._take_fragment(frame)

    def _take_fragment(self, frame: Frame) -> None:
        if self._utf8 is not None:
            self._utf8.decode(frame.data, final=frame.fin)
        self._message += frame.data
        if frame.fin:
            payload, is_text = bytes(self._message), self._utf8 is not None
            self._message.clear()
            self._utf8 = None
            self._tell_edge(payload, is_text=is_text)

    def _tell_edge(self, payload: bytes, *, is_text: bool) -> None:
        # Nobody hears what comes after a close frame of ours.
        if self.client is None:
            return
        if is_text:
            self._listener.edge.received(self, payload)
        else:
            self._listener.edge.received_binary(self, payload)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data is SEND_EOF or not data:
                if self._transport.can_write_eof() and not self._transport.is_closing():
                    self._transport.write_eof()
            else:
                self.write(data)

    def _leave_edge(self) -> None:
        """No data frame may follow a close frame, so the hub forgets us before anything else."""
        self._let_writers_go()
        if self.client is not None:
            self._listener.edge.closed(self)
            self.client = None

    def _let_writers_go(self) -> None:
        if self._room_to_write is not None and not self._room_to_write.done():
            self._room_to_write.set_result(None)
        self._room_to_write = None

    def _expect_close(self) -> None:
        if self._close_at is None:
            self._close_at = self._listener.now() + self._listener.options.close_timeout_seconds
            # A held reader would never see the peer's close frame. Who does not read stays unread:
            # pongs to its pings are the one thing that would still pile up.
            self.hold_reading(False)

    def _end(self) -> None:
        """The peer had its moment. Close, or reset when it left bytes unread."""
        if self._transport.get_write_buffer_size():
            self.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        # Closing alone leaves what the kernel still holds for a dead reader; a reset frees it.
        peer = self._transport.get_extra_info("socket")
        # The peer may have gone already; the transport reports that by itself.
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._transport.abort()


class Listener:
    """One listening port and everyone connected to it."""

    def __init__(self, options: ListenerOptions, edge: Edge) -> None:
        self.options = options
        self.origins = [*(cast("Origin", origin) for origin in options.origins), None]
        self.edge = edge
        self.connections: set[Connection] = set()
        self.emptied = asyncio.Event()
        """Set when the last connection has gone."""
        self.draining = False
        self.is_busy: Callable[[], bool] = lambda: False
        """Asked before a handshake is accepted."""
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    @property
    def port(self) -> int:
        """The port the kernel gave, when 0 was asked for."""
        if self._server is None:
            raise RuntimeError("the listener is not started")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        options = self.options
        self._server = await self._loop.create_server(
            lambda: Connection(self),
            options.host,
            options.port,
            reuse_port=options.reuse_port or None,
            backlog=1024,
            start_serving=False,
        )
        # Accepted sockets inherit it: to set it on each takes a system call and keeps an object.
        for listening in self._server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_SEND_BUFFER_BYTES)
        await self._server.start_serving()
        self._timer = self._loop.call_later(options.tick_seconds, self._tick)

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self.emptied.set()

    def stop_accepting(self) -> None:
        self.draining = True
        if self._server is not None:
            self._server.close()

    async def empty(self, *, within_seconds: float) -> None:
        """Wait until everyone has gone, and no longer than that."""
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.emptied.wait(), within_seconds)

    async def close(self) -> None:
        """End what is left at once; a gentle end is the edge's drain before this."""
        self.stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self.connections):
            connection.close(CloseCode.SERVICE_RESTART, "restarting")
        await self.empty(within_seconds=self.options.close_timeout_seconds)
        for connection in list(self.connections):
            connection.abort()

    def _tick(self) -> None:
        now = self.now()
        for connection in list(self.connections):
            connection.ticked(now)
        self._timer = self._loop.call_later(self.options.tick_seconds, self._tick)


def _refusal(protocol: ServerProtocol, request: Request, listener: Listener) -> Response | None:
    """Why this request never reaches the protocol, as an answer."""
    if listener.draining:
        response = protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, "Restarting.\n")
        response.headers["Retry-After"] = "1"
        return response
    if listener.is_busy():
        response = protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, "Too many are coming in.\n")
        response.headers["Retry-After"] = "1"
        return response
    path, _, query = request.path.partition("?")
    if path != listener.options.path:
        return protocol.reject(HTTPStatus.NOT_FOUND, "Not found.\n")
    if query:
        # Addresses end up in logs; tickets and tokens belong into the first frame.
        return protocol.reject(HTTPStatus.BAD_REQUEST, "No query here: say hello instead.\n")
    if request.method == "GET" and request.headers.get_all("Sec-WebSocket-Version") != ["13"]:
        # RFC 6455, 4.4: the answer names the version that would be understood.
        response = protocol.reject(HTTPStatus.UPGRADE_REQUIRED, "WebSocket version 13 only.\n")
        response.headers["Upgrade"] = "websocket"
        response.headers["Sec-WebSocket-Version"] = "13"
        return response
    if "Origin" not in request.headers and "Cookie" in request.headers:
        return protocol.reject(HTTPStatus.FORBIDDEN, "A browser must send its Origin.\n")
    return None
