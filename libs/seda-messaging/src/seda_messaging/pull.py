"""Messages of a durable consumer as they arrive, by pull requests of our own.

nats-py's `fetch(n)` collects: after an idle poll it now and then holds a message back until the
poll ends, because a request the client had given up on still took it (measured: one event in three
after a pause, up to the whole poll). Here a request stays open and every message is handed on at
once.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeGuard

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from seda_messaging.errors import BusUnavailable, PullLost, unavailable

POLL_SECONDS = 15.0
ANSWER_SECONDS_MAX = POLL_SECONDS + 5
"""The server ends a request by itself; silence beyond that means it has forgotten us."""
ENDED_EMPTY = frozenset({"404", "408"})


class Message:
    """One delivery of a stored message. Exactly one of `ack`, `nak` and `term` ends it.

    All four answers raise BusUnavailable when they cannot even be buffered; the server then sends
    the message again.
    """

    __slots__ = ("_message", "attempt", "body", "headers", "sequence", "subject")

    def __init__(self, message: Msg) -> None:
        self._message = message
        self.subject = message.subject
        self.body = message.data
        self.headers: Mapping[str, str] = message.headers or {}
        about = message.metadata
        self.attempt = about.num_delivered
        """1 for the first delivery."""
        self.sequence = about.sequence.stream
        """Its place in the stream."""

    async def ack(self) -> None:
        with unavailable():
            await self._message.ack()

    async def nak(self, *, delay_seconds: float = 0.0) -> None:
        """Send it again, after the delay. Without one it comes back within a millisecond."""
        with unavailable():
            await self._message.nak(delay=delay_seconds or None)

    async def term(self) -> None:
        """Never send it again."""
        with unavailable():
            await self._message.term()

    async def in_progress(self) -> None:
        """We are still at it: the time the server waits for an answer starts anew."""
        with unavailable():
            await self._message.in_progress()


class Pull:
    """Requests and answers of one consumer, over one private inbox, until `lost` is set."""

    def __init__(self, client: Client, stream: str, durable: str, *, lost: asyncio.Event) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._lost = lost
        self._arrived: deque[Msg | None] = deque()
        self._has_arrived = asyncio.Event()
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None
        self._open = 0

    @property
    def is_asking(self) -> bool:
        """Whether the server still owes answers to a request."""
        return self._open > 0

    @property
    def waiting(self) -> list[Message]:
        """What has arrived and nobody has taken yet."""
        return [Message(item) for item in self._arrived if _is_stored(item)]

    async def open(self) -> None:
        """Raises BusUnavailable."""
        with unavailable():
            self._subscription = await self._client.subscribe(self._inbox, cb=self._take)
        self._watch = asyncio.create_task(self._notice_loss())

    async def close(self) -> None:
        """Stop asking, and give back what nobody has taken."""
        if self._watch is not None:
            self._watch.cancel()
        with suppress(BusUnavailable):
            if self._subscription is not None:
                with unavailable():
                    await self._subscription.unsubscribe()
            for message in self.waiting:
                await message.nak()

    async def next(self, batch: int) -> Message | None:
        """The next message, asking for up to `batch` when no request is open.

        None when a request ended empty. Raises BusUnavailable when the connection was remade or
        the server is silent: then this object is of no more use.
        """
        if not self._arrived:
            if not self.is_asking:
                await self._ask(batch)
            await self._wait()
        item = self._arrived.popleft()
        if item is None:
            raise PullLost("the connection was remade")
        if _is_stored(item):
            self._open = max(0, self._open - 1)
            return Message(item)
        self._open = 0
        status = (item.headers or {}).get("Status")
        if status not in ENDED_EMPTY:
            raise PullLost(f"a pull request was answered with {status}")
        return None

    async def _ask(self, batch: int) -> None:
        """Never into the client's buffer: it would reach the next server behind our back, and that
        one may send messages to this inbox long after we have left it.
        """
        if not self._client.is_connected:
            raise PullLost("not connected")
        request = {"batch": batch, "expires": int(POLL_SECONDS * 1e9)}
        with unavailable():
            await self._client.publish(self._subject, json.dumps(request).encode(), self._inbox)
        self._open = batch

    async def _wait(self) -> None:
        """Raises PullLost when nothing has come, not even the end of the request."""
        self._has_arrived.clear()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._has_arrived.wait()
        except TimeoutError as error:
            raise PullLost("no answer to a pull request") from error

    async def _take(self, item: Msg | None) -> None:
        self._arrived.append(item)
        self._has_arrived.set()

    async def _notice_loss(self) -> None:
        """A request in flight dies with the server, and nothing in the client says so."""
        await self._lost.wait()
        await self._take(None)


def _is_stored(item: Msg | None) -> TypeGuard[Msg]:
    """Only a stored message wants an answer. A header `Status` proves nothing."""
    return item is not None and item.reply.startswith("$JS.ACK.")
