"""The shell around the core: one WebSocket after the other, replies by their ids, sends that are
repeated under their own `cid` until there is an answer.
"""

import asyncio
import contextlib
import json
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from seda_contracts.realtime import SUBPROTOCOL, Cursor
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from seda_client.application import (
    Connected,
    Happening,
    Options,
    Refused,
    Stopped,
    Ticket,
    TicketSource,
    Waiting,
)
from seda_client.core import Ask, ComeBack, Core, Stop, TokenNeeded


@dataclass(slots=True)
class _Pending:
    """A message that has no answer yet."""

    room: UUID
    body: dict[str, Any]
    answer: "asyncio.Future[dict[str, Any]]"


class Client:
    """Use `connect`. Methods may be called at any time; what needs a connection waits for it."""

    def __init__(self, source: TicketSource, options: Options) -> None:
        self._source = source
        self._options = options
        self._core = Core()
        self._socket: ClientConnection | None = None
        self._next_id = 0
        self._connections = 0
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._subscribing: dict[int, UUID] = {}
        """Rooms asked for, by command. Their answer is taken in turn with the frames around it."""
        self._pending: dict[str, _Pending] = {}
        self._happenings: deque[Happening] = deque()
        self._news = asyncio.Event()
        self._ready = asyncio.Event()
        self._ended: Stopped | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # What callers use.

    @property
    def clock_offset_ms(self) -> float | None:
        """Add it to this machine's clock to have the server's; None before the first heartbeat."""
        return self._core.clock_offset_ms

    @property
    def connection(self) -> int | None:
        """The number of the connection that stands now, as in `Connected`; None without one."""
        return self._connections if self._socket is not None and self._ready.is_set() else None

    def cursor(self, room: UUID) -> Cursor | None:
        """The last event that was handed on: keep it to resume in another process."""
        known = self._core.rooms.get(room)
        return None if known is None else known.cursor

    def follow(self, room: UUID, cursor: Cursor | None = None) -> None:
        """Hear the room from the cursor on, or from now on."""
        self._do(self._core.follow(room, cursor))

    def unfollow(self, room: UUID) -> None:
        self._do(self._core.unfollow(room))

    def resume_from(self, room: UUID, cursor: Cursor) -> None:
        """After SnapshotNeeded: where the page stands that was read over HTTP."""
        self._do(self._core.resume_from(room, cursor))

    async def happenings(self) -> AsyncIterator[Happening]:
        """Everything, in order, until the client stops. Raises Stopped at the end."""
        while True:
            while self._happenings:
                yield self._happenings.popleft()
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()

    async def send(
        self, room: UUID, text: str, *, cid: str | None = None, parent_id: UUID | None = None
    ) -> dict[str, Any]:
        """Returns once the message is committed, exactly once, however often the socket breaks.

        Raises Refused when the server says no for good, Stopped, and OverflowError when too many
        messages wait already.
        """
        if len(self._pending) >= self._options.sends_waiting_max:
            raise OverflowError("too many messages wait for their acknowledgement")
        body: dict[str, Any] = {"cid": cid or str(uuid4()), "text": text}
        if parent_id is not None:
            body["parent_id"] = str(parent_id)
        pending = _Pending(room, body, asyncio.get_running_loop().create_future())
        self._pending[body["cid"]] = pending
        try:
            if self._ended is not None:
                raise self._ended
            if self._ready.is_set():
                self._start(self._try_to_send(pending))
            return await pending.answer
        finally:
            self._pending.pop(body["cid"], None)

    async def command(
        self, op: str, room: UUID | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The `ok` of any other command. Raises Refused; ConnectionError when the socket broke
        before the answer, which leaves open whether it was done.
        """
        await self._until_ready()
        return await self._ask(op, room, body or {})

    # Connections.

    async def run(self) -> None:
        """Connect, and connect again, until the server says that it is no use."""
        try:
            while True:
                ended = await self._one_connection()
                if isinstance(ended, Stop):
                    raise Stopped(ended.code, ended.meaning)
                # Who only sends reads nothing: a long outage must not count against them.
                if self._happenings and isinstance(self._happenings[-1], Waiting):
                    self._happenings.pop()
                self._tell(ended)
                await asyncio.sleep(ended.seconds)
        except Stopped as stopped:
            self._end(stopped)
        except BaseException:
            self._end(Stopped(None, "the client was ended"))
            raise

    async def _one_connection(self) -> Waiting | Stop:
        try:
            ticket = await self._ticket()
            opening = open_socket(
                ticket.url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, proxy=None
            )
        except Stopped:
            raise
        except Exception as error:
            # The source is the application's own and may raise anything: it is told what.
            return self._not_connected(error)
        try:
            async with opening as socket:
                return await self._live_on(socket, ticket)
        except (OSError, WebSocketException, TimeoutError):
            return self._not_connected()

    async def _ticket(self) -> Ticket:
        async with asyncio.timeout(self._options.ticket_seconds_max):
            return await self._source()

    def _not_connected(self, source_error: Exception | None = None) -> Waiting:
        verdict = self._core.not_connected(now=time.time(), random=random.random())
        return self._waiting(verdict, source_error=source_error)

    def _waiting(
        self, verdict: ComeBack, *, code: int | None = None, source_error: Exception | None = None
    ) -> Waiting:
        own_seconds = verdict.after_seconds * self._options.time_scale
        return Waiting(verdict.not_before_seconds + own_seconds, code, source_error)

    async def _live_on(self, socket: ClientConnection, ticket: Ticket) -> Waiting | Stop:
        self._socket = socket
        hello = self._core.hello(ticket.credential())
        beating: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                frames = json.loads(message)
                for frame in frames if isinstance(frames, list) else [frames]:
                    if frame.get("op") == "welcome":
                        await self._say(hello)
                        beating = asyncio.create_task(self._beat(frame))
                    else:
                        self._take(frame)
        except ConnectionClosed:
            pass
        finally:
            if beating is not None:
                beating.cancel()
            self._socket = None
            self._ready.clear()
            self._break_replies()
        code = socket.close_code
        verdict = self._core.closed(code, now=time.time(), random=random.random())
        return verdict if isinstance(verdict, Stop) else self._waiting(verdict, code=code)

    def _take(self, frame: Mapping[str, Any]) -> None:
        room = self._subscribing.pop(frame.get("id", 0), None)
        if room is not None and "ok" in frame:
            self._do(self._core.subscribed(room, frame["ok"]))
        reply = self._replies.pop(frame.get("id", 0), None)
        if reply is not None and not reply.done():
            if "err" in frame:
                reply.set_exception(Refused(frame["err"]))
            else:
                reply.set_result(dict(frame.get("ok", frame)))
        self._do(self._core.receive(frame, now=time.time()))
        if frame.get("op") == "ready":
            self._connections += 1
            self._tell(Connected(self._connections))
            self._ready.set()
            for pending in list(self._pending.values()):
                self._start(self._try_to_send(pending))

    async def _beat(self, welcome: Mapping[str, Any]) -> None:
        """Application beats, as a page cannot send pings; the first after a random part."""
        period_seconds, grace_seconds = welcome["hb_ms"] / 1000, welcome["hb_grace_ms"] / 1000
        await asyncio.sleep(random.random() * period_seconds)
        number = 0
        while True:
            number += 1
            try:
                async with asyncio.timeout(max(grace_seconds, 1)):
                    await self._ask("hb", None, {"n": number, "t0": time.time() * 1000})
            except TimeoutError:
                if self._socket is not None:
                    # Who answers no beat answers no close either.
                    self._socket.transport.abort()
                return
            except (ConnectionError, Refused):
                return
            await asyncio.sleep(period_seconds)

    # Commands.

    def _do(self, decisions: list[Any]) -> None:
        for decision in decisions:
            match decision:
                case Ask(op="room.sub", room=UUID() as room):
                    self._start(self._subscribe(room, decision))
                case Ask():
                    self._start(self._say_and_forget(decision))
                case TokenNeeded():
                    self._start(self._refresh())
                case _:
                    self._tell(decision)

    async def _subscribe(self, room: UUID, ask: Ask) -> None:
        try:
            await self._ask(ask.op, room, ask.body)
        except Refused as refusal:
            if refusal.retry == "later":
                await self._wait_as_told(refusal)
                self._do(self._core.follow(room))
            else:
                self._do(self._core.refused_subscription(room, refusal.code))
        except (ConnectionError, TimeoutError):
            pass  # the next hello asks for it

    async def _refresh(self) -> None:
        try:
            token = (await self._ticket()).token
        except Exception:
            # The old one ends with 4003, and then the source is asked again.
            return
        if token is not None:
            with contextlib.suppress(Refused, ConnectionError, TimeoutError):
                await self._ask("auth.refresh", None, {"token": token})

    async def _try_to_send(self, pending: _Pending) -> None:
        """Until there is an answer, or the connection is gone and the next one tries again."""
        while not pending.answer.done():
            try:
                answer = await self._ask("msg.send", pending.room, pending.body)
            except Refused as refusal:
                if refusal.retry == "later":
                    await self._wait_as_told(refusal)
                    continue
                if not pending.answer.done():
                    pending.answer.set_exception(refusal)
            except TimeoutError:
                continue
            except ConnectionError:
                return
            else:
                if not pending.answer.done():
                    pending.answer.set_result(answer)

    async def _wait_as_told(self, refusal: Refused) -> None:
        seconds = (refusal.retry_ms or 1_000) / 1000
        await asyncio.sleep(seconds * self._options.time_scale)

    async def _ask(self, op: str, room: UUID | None, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises Refused, ConnectionError and TimeoutError."""
        self._next_id += 1
        number = self._next_id
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        if op == "room.sub" and room is not None:
            self._subscribing[number] = room
        try:
            await self._say(Ask(op, room, body), number)
            async with asyncio.timeout(self._options.reply_seconds_max):
                return await reply
        finally:
            self._replies.pop(number, None)
            self._subscribing.pop(number, None)

    async def _say(self, ask: Ask, number: int | None = None) -> None:
        if number is None:
            self._next_id += 1
            number = self._next_id
        command: dict[str, Any] = {"id": number, "op": ask.op, "d": dict(ask.body)}
        if ask.room is not None:
            command["room"] = str(ask.room)
        if self._socket is None:
            raise ConnectionError("there is no connection")
        try:
            await self._socket.send(json.dumps(command))
        except ConnectionClosed as closed:
            raise ConnectionError("the connection is gone") from closed

    async def _say_and_forget(self, ask: Ask) -> None:
        with contextlib.suppress(Refused, ConnectionError, TimeoutError):
            await self._ask(ask.op, ask.room, ask.body)

    async def _until_ready(self) -> None:
        while not self._ready.is_set():
            if self._ended is not None:
                raise self._ended
            await self._ready.wait()
        if self._ended is not None:
            raise self._ended

    def _break_replies(self) -> None:
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionError("the connection is gone"))
                reply.exception()  # whoever waits has it; nobody else needs to
        self._replies.clear()

    def _tell(self, happening: Happening) -> None:
        if len(self._happenings) >= self._options.happenings_waiting_max:
            self._end(Stopped(None, "nobody reads what happens"))
            return
        self._happenings.append(happening)
        self._news.set()

    def _end(self, stopped: Stopped) -> None:
        self._ended = self._ended or stopped
        self._news.set()
        self._ready.set()
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(stopped)

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def connect(source: TicketSource, options: Options | None = None) -> AsyncIterator[Client]:
    """A client that is connected as long as the context lasts, whatever happens in between."""
    client = Client(source, options or Options())
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.end()
