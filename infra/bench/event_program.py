"""Our side of the measurement, a process of its own: producer, consumer, or a service at rest."""

import asyncio
import time
from functools import partial

import uvloop
from event_work import (
    CONCURRENCY,
    CONSUMER,
    Places,
    arguments,
    metadata,
    paced,
    ready,
    say,
    write_row,
)
from seda_contracts.base import Contract
from seda_contracts.events.artist import ArtistState
from seda_contracts.events.auth import SessionRevoked
from seda_contracts.events.chat import MessageSent
from seda_contracts.events.unfurl import TrackResolved
from seda_db import Database
from seda_messaging import Bus, Delivery, Outbox, Subscription, first_delivery, run_messaging

NAME = "seda"


async def take(event: MessageSent, delivery: Delivery, *, db: Database, says: bool) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await write_row(tx, event)
    if says:
        say("took", event.message_id, time.monotonic())


async def consume(places: Places, bus: Bus, outbox: Outbox, db: Database) -> None:
    handler = partial(take, db=db, says=places.says_what_it_took)
    subscription = Subscription(MessageSent, handler, CONSUMER, concurrency=CONCURRENCY)
    async with run_messaging(bus, outbox, db, (subscription,)):
        ready()
        await asyncio.Event().wait()


async def produce(places: Places, bus: Bus, outbox: Outbox, db: Database) -> None:
    async with run_messaging(bus, outbox, db, ()):
        async for event in paced(places):
            began = time.monotonic()
            async with db.begin() as tx:
                await write_row(tx, event)
                await outbox.add(tx, event)
            say("sent", event.message_id, began, time.monotonic())


async def rest(_: Places, bus: Bus, outbox: Outbox, db: Database) -> None:
    """Three durable consumers of chat-realtime and a relay, with nothing to do."""

    async def never(event: Contract, _: Delivery) -> None:
        raise AssertionError(f"nothing was sent, and {event.TYPE} came")

    subscriptions = (
        Subscription(SessionRevoked, never, "chat-realtime.sessions"),
        Subscription(ArtistState, never, "chat-realtime.people"),
        Subscription(TrackResolved, never, "chat-realtime.cards"),
    )
    async with run_messaging(bus, outbox, db, subscriptions):
        ready()
        await asyncio.Event().wait()


async def main() -> None:
    part, places = arguments()
    bus = Bus(places.nats_url, service=NAME)
    play = {"consume": consume, "produce": produce, "rest": rest}[part]
    await play(
        places, bus, Outbox(metadata, service="chat-realtime"), Database(places.database_url)
    )


if __name__ == "__main__":
    uvloop.run(main())
