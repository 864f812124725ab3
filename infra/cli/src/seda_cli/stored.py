"""Messages as a stream keeps them, read by direct get: no consumer is made and nothing is taken.

They come in batches, so that a long history costs no memory.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from seda_cli.broker import ANSWER_SECONDS_MAX, Broker
from seda_cli.failure import CommandFailed

BATCH_MESSAGES = 256
BATCH_BYTES = 8 << 20


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a stream. Headers and body are whatever its publisher made them."""

    stream: str
    sequence: int
    subject: str
    stored_at: datetime
    headers: dict[str, str]
    body: bytes


History = AsyncGenerator[Stored, None]


async def read(
    broker: Broker, stream: str, subject: str = ">", *, since: datetime | None = None
) -> History:
    """What is stored now under the subject, oldest first. Nothing when there is no such stream."""
    inbox = broker.client.new_inbox()
    subscription = await broker.answer(broker.client.subscribe(inbox))
    start: dict[str, Any] = {"seq": 1}
    if since is not None:
        start = {"start_time": since.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    try:
        while True:
            request = {
                "next_by_subj": subject,
                "batch": BATCH_MESSAGES,
                "max_bytes": BATCH_BYTES,
                **start,
            }
            payload = msgspec.json.encode(request)
            asking = broker.client.publish(f"$JS.API.DIRECT.GET.{stream}", payload, inbox)
            await broker.answer(asking)
            last = None
            async for found in _batch(broker, subscription):
                last = found
                yield found
            if last is None:
                return
            start = {"seq": last.sequence + 1}
    finally:
        with suppress(NatsError):  # the connection may be gone
            await subscription.unsubscribe()


async def _batch(broker: Broker, subscription: Subscription) -> History:
    """Until the server says that the batch has ended, or that there is nothing."""
    while True:
        message = await broker.answer(subscription.next_msg(ANSWER_SECONDS_MAX))
        if not _is_stored(message):
            return
        yield _stored(message)


async def read_one(broker: Broker, stream: str, sequence: int) -> Stored | None:
    return await _get(broker, stream, {"seq": sequence})


async def read_last(broker: Broker, stream: str, subject: str) -> Stored | None:
    """The newest message with exactly this subject."""
    return await _get(broker, stream, {"last_by_subj": subject})


async def _get(broker: Broker, stream: str, request: dict[str, Any]) -> Stored | None:
    payload = msgspec.json.encode(request)
    subject = f"$JS.API.DIRECT.GET.{stream}"
    asking = broker.client.request(subject, payload, timeout=ANSWER_SECONDS_MAX)
    message = await broker.answer(asking)
    return _stored(message) if _is_stored(message) else None


async def merged(histories: Sequence[History]) -> History:
    """Several histories as one, by the time of storing."""
    heads: list[tuple[Stored, History]] = []
    try:
        for history in histories:
            await _advance(history, heads)
        while heads:
            oldest = min(range(len(heads)), key=lambda index: heads[index][0].stored_at)
            message, history = heads.pop(oldest)
            yield message
            await _advance(history, heads)
    finally:
        for history in histories:
            await history.aclose()


async def _advance(history: History, heads: list[tuple[Stored, History]]) -> None:
    message = await anext(history, None)
    if message is not None:
        heads.append((message, history))


def _is_stored(message: Msg) -> bool:
    """The server's own headers stand behind the publisher's, so that nobody can forge them; a
    publisher's `Status` is no status of the server.
    """
    headers = message.headers or {}
    if "Nats-Stream" in headers:
        return True
    if headers.get("Status") not in {"204", "404", "503"}:
        raise CommandFailed(f"NATS could not read a stored message: {dict(headers)}")
    return False


def _stored(message: Msg) -> Stored:
    headers = dict(message.headers or {})
    stream, subject = headers.pop("Nats-Stream"), headers.pop("Nats-Subject")
    sequence, stored_at = headers.pop("Nats-Sequence"), headers.pop("Nats-Time-Stamp")
    return Stored(
        stream=stream,
        sequence=int(sequence),
        subject=subject,
        stored_at=datetime.fromisoformat(stored_at),
        headers={name: value for name, value in headers.items() if name not in _BATCH_HEADERS},
        body=message.data,
    )


_BATCH_HEADERS = frozenset({"Nats-Num-Pending", "Nats-Last-Sequence", "Nats-UpTo-Sequence"})
