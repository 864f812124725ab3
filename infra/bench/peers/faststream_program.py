"""FastStream's side: the same events, the same transaction, the same durable consumers.

What was chosen for it, each being the fastest of what was tried (infra/bench/README.md): fetches
of as many messages as we handle at once and a task for each, a poll as long as ours, decoding by
msgspec without argument injection, uvloop, and an acknowledgement after the commit.
"""

import asyncio
import time
from typing import Any

import uvloop
from event_work import (
    CONCURRENCY,
    CONSUMER,
    POLL_SECONDS,
    Places,
    arguments,
    metadata,
    paced,
    ready,
    say,
    write_row,
)
from faststream.middlewares import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from seda_contracts.envelope import headers_of, read_envelope
from seda_contracts.events.chat import MessageSent
from seda_contracts.registry import durable_name
from seda_db import Database
from seda_messaging import Delivery, first_delivery
from seda_messaging.provision import consumers_of
from seda_runtime.clock import utc_now
from seda_runtime.ids import uuid7

NAME = "faststream"


def subscriber(broker: NatsBroker, consumer: str) -> Any:
    """A pull subscriber of one durable, which exists already with its limits and filters."""
    service = consumer.partition(".")[0]
    entry = consumers_of(service)[consumer][0]
    return broker.subscriber(
        entry.contract.subject_filter(),
        stream=JStream(entry.stream.name, declare=False),
        durable=durable_name(consumer),
        pull_sub=PullSub(batch_size=CONCURRENCY, timeout=POLL_SECONDS),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        decoder=undecoded,
    )


async def undecoded(message: NatsMessage) -> NatsMessage:
    """The handler decodes by itself; a plain function would run in a thread per message."""
    return message


def inbox_delivery(message: NatsMessage) -> Delivery:
    envelope = read_envelope(message.headers)
    return Delivery(
        event_id=envelope.event_id,
        type=envelope.type,
        subject=message.raw_message.subject,
        consumer=CONSUMER,
        attempt=message.raw_message.metadata.num_delivered,
        headers=message.headers,
        inbox=metadata.tables[f"{metadata.schema}.inbox"],
    )


async def consume(places: Places, broker: NatsBroker, db: Database) -> None:
    async def take(message: NatsMessage) -> None:
        event = MessageSent.decode(message.body)
        async with db.begin() as tx:
            if await first_delivery(tx, inbox_delivery(message)):
                await write_row(tx, event)
        if places.says_what_it_took:
            say("took", event.message_id, time.monotonic())

    subscriber(broker, CONSUMER)(take)
    await broker.start()
    ready()
    await asyncio.Event().wait()


async def produce(places: Places, broker: NatsBroker, db: Database) -> None:
    """Commit, then publish: what a crash between the two would lose is not made good."""
    await broker.start()
    async for event in paced(places):
        began = time.monotonic()
        async with db.begin() as tx:
            await write_row(tx, event)
        committed = time.monotonic()
        headers = headers_of(event, event_id=uuid7(), service="chat-realtime", at=utc_now())
        await broker.publish(event.encode(), event.subject(), headers=headers, stream="CHAT")
        say("sent", event.message_id, began, committed)


async def rest(_: Places, broker: NatsBroker, __: Database) -> None:
    async def never(message: NatsMessage) -> None:
        raise AssertionError(f"nothing was sent, and {message.raw_message.subject} came")

    for purpose in ("sessions", "people", "cards"):
        subscriber(broker, f"chat-realtime.{purpose}")(never)
    await broker.start()
    ready()
    await asyncio.Event().wait()


async def main() -> None:
    part, places = arguments()
    broker = NatsBroker(places.nats_url, name=NAME, apply_types=False, logger=None)
    play = {"consume": consume, "produce": produce, "rest": rest}[part]
    await play(places, broker, Database(places.database_url))


if __name__ == "__main__":
    uvloop.run(main())
