"""Messages of a durable consumer as they arrive, by pull requests of our own.

nats-py's `fetch(n)` collects: after an idle poll it now and then holds a message back until the
poll ends, because a request the client had given up on still took it (measured: one event in three
after a pause, up to the whole poll). Here a request stays open and every message is handed on at
once.
"""

import json

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeoutError

POLL_SECONDS = 15.0
ANSWER_SECONDS_MAX = POLL_SECONDS + 5
"""The server ends a request by itself; silence beyond that means it has forgotten us."""
ENDED_EMPTY = frozenset({"404", "408"})


class PullLost(ConnectionError):
    """The server did not answer a request: it is away, or the consumer is gone."""


class Pull:
    """Requests and answers of one consumer, over one private inbox."""

    def __init__(self, client: Client, stream: str, durable: str) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._open = 0

    async def open(self) -> None:
        self._subscription = await self._client.subscribe(self._inbox)

    async def close(self) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def next(self, batch: int) -> Msg | None:
        """The next message, asking for up to `batch` when no request is open.

        None when a request ended empty. Raises PullLost, and nats errors.
        """
        assert self._subscription is not None
        if self._open == 0:
            request = {"batch": batch, "expires": int(POLL_SECONDS * 1e9)}
            await self._client.publish(self._subject, json.dumps(request).encode(), self._inbox)
            self._open = batch
        try:
            message = await self._subscription.next_msg(ANSWER_SECONDS_MAX)
        except (TimeoutError, NatsTimeoutError) as error:
            self._open = 0
            raise PullLost("no answer to a pull request") from error
        status = (message.headers or {}).get("Status")
        if status is None:
            self._open -= 1
            return message
        self._open = 0
        if status not in ENDED_EMPTY:
            raise PullLost(f"a pull request was answered with {status}")
        return None
