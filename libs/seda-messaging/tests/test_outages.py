"""While the database or the broker is away, events wait: no attempt is burnt, no core is."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import asyncpg
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from seda_contracts.envelope import headers_of
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_contracts.registry import CONSUMERS, Consumer
from seda_db import Database
from seda_messaging import Bus, BusUnavailable, Delivery, Subscription, consumer
from seda_messaging.provision import provision
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres
from sqlalchemy import text

CONSUMER = "track-unfurl.links"
Messaging = Callable[..., AbstractAsyncContextManager[None]]


async def publish(js: JetStreamContext, note: str, *, key: str | None = None) -> None:
    asked = UnfurlResolve(link_id=link_id(key or note), url=note)
    headers = headers_of(asked, event_id=uuid4(), service="chat-realtime", at=utc_now())
    await js.publish(asked.subject(), asked.encode(), headers=headers)


async def about(js: JetStreamContext) -> ConsumerInfo:
    return await js.consumer_info("CMD_UNFURL", "track-unfurl_links")


async def is_done(js: JetStreamContext) -> bool:
    info = await about(js)
    return info.num_pending == 0 and info.num_ack_pending == 0


@pytest.fixture
async def impatient(broker: EmbeddedNats, monkeypatch: pytest.MonkeyPatch) -> EmbeddedNats:
    """The broker sends again what has not been heard of for two seconds."""
    monkeypatch.setitem(CONSUMERS, CONSUMER, Consumer(ack_wait_seconds=2))
    await provision(broker.url, "track-unfurl")
    return broker


@pytest.fixture
async def fragile() -> AsyncIterator[tuple[EmbeddedPostgres, Database]]:
    """A database of this test alone, to be killed."""
    with EmbeddedPostgres(durable=True) as server:
        admin = await asyncpg.connect(server.admin_url)
        await admin.execute("CREATE TABLE effect (note text)")
        await admin.close()
        database = Database(server.admin_url)
        yield server, database
        await database.close()


async def test_a_database_that_is_away_costs_no_attempt_and_stops_the_asking(
    messaging: Messaging,
    impatient: EmbeddedNats,
    js: JetStreamContext,
    fragile: tuple[EmbeddedPostgres, Database],
) -> None:
    server, database = fragile
    attempts: list[int] = []

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None:
        async with database.begin() as tx:
            await tx.execute(text("INSERT INTO effect VALUES (:note)"), {"note": event.url})
        attempts.append(delivery.attempt)

    async def effects() -> int:
        async with database.begin() as tx:
            return int((await tx.execute(text("SELECT count(*) FROM effect"))).scalar_one())

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER)):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        for number in range(100):
            await publish(js, f"note {number}")
        # Longer than the broker's patience, so that a message nobody speaks for is sent again.
        await asyncio.sleep(4)
        info = await about(js)
        assert info.num_ack_pending is not None
        assert 0 < info.num_ack_pending <= 8 * consumer.IN_HAND_PER_SLOT
        assert info.num_redelivered == 0
        await asyncio.to_thread(server.start)  # it takes a while, and we must be heard of meanwhile
        await eventually(lambda: is_done(js))
        assert await effects() == 100
    assert attempts == [1] * 100
    assert (await js.stream_info("DLQ")).state.messages == 0


async def test_long_work_and_what_waits_behind_it_are_not_sent_again(
    messaging: Messaging, impatient: EmbeddedNats, js: JetStreamContext
) -> None:
    handled: list[tuple[str, int]] = []

    async def work(event: UnfurlResolve, delivery: Delivery) -> None:
        await asyncio.sleep(3)
        handled.append((event.url, delivery.attempt))

    async with messaging(Subscription(UnfurlResolve, work, consumer=CONSUMER)):
        await publish(js, "first", key="same")
        await publish(js, "second", key="same")
        await eventually(lambda: is_done(js))
    assert handled == [("first", 1), ("second", 1)]


async def test_a_handler_that_hangs_is_ended_and_tried_again(
    messaging: Messaging,
    broker: EmbeddedNats,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CONSUMERS, CONSUMER, Consumer(handling_seconds_max=1))
    attempts: list[int] = []

    async def hang_once(event: UnfurlResolve, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt == 1:
            await asyncio.Event().wait()

    async with messaging(Subscription(UnfurlResolve, hang_once, consumer=CONSUMER)):
        await publish(js, "one")
        await eventually(lambda: is_done(js))
    assert attempts == [1, 2]


async def test_many_events_of_a_busy_key_do_not_keep_the_other_keys(
    messaging: Messaging, broker: EmbeddedNats, js: JetStreamContext
) -> None:
    released = asyncio.Event()
    handled: list[str] = []

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None:
        if event.url.startswith("busy"):
            await released.wait()
        handled.append(event.url)

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER, concurrency=2)):
        for number in range(5):
            await publish(js, f"busy {number}", key="busy")
        await publish(js, "other")
        await eventually(lambda: handled == ["other"])
        released.set()
        await eventually(lambda: is_done(js))
    assert handled == ["other", *(f"busy {number}" for number in range(5))]


async def test_a_stopping_process_gives_back_what_it_had_fetched_and_not_begun(
    messaging: Messaging,
    broker: EmbeddedNats,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for the broker's patience to end."""
    monkeypatch.setitem(CONSUMERS, CONSUMER, Consumer(ack_wait_seconds=300))
    await provision(broker.url, "track-unfurl")
    monkeypatch.setattr(consumer, "DRAIN_SECONDS_MAX", 0.2)
    begun: list[str] = []

    async def hang(event: UnfurlResolve, delivery: Delivery) -> None:
        begun.append(event.url)
        await asyncio.Event().wait()

    async def take(event: UnfurlResolve, delivery: Delivery) -> None:
        taken.add(event.url)

    taken: set[str] = set()
    notes = [f"note {number}" for number in range(30)]
    async with messaging(Subscription(UnfurlResolve, hang, consumer=CONSUMER, concurrency=2)):
        for note in notes:
            await publish(js, note)
        await eventually(lambda: len(begun) == 2)
    async with messaging(Subscription(UnfurlResolve, take, consumer=CONSUMER)):
        await eventually(lambda: is_done(js))
    assert taken == set(notes)


async def test_a_broker_that_stays_away_leaves_the_process_idle(
    messaging: Messaging, broker: EmbeddedNats
) -> None:
    """A fetch on a dead connection raises without ever yielding: a careless loop eats the core and
    freezes everything else in the process.
    """

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None: ...

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER)):
        broker.kill()
        began, used, rounds = time.monotonic(), time.process_time(), 0
        while time.monotonic() - began < 3:
            await asyncio.sleep(0.05)
            rounds += 1
        assert rounds > 10, "the loop was frozen"
        assert time.process_time() - used < 1.5, "half a core was spent on an outage"
        broker.start()


async def test_the_broker_is_told_one_patience_and_no_second_one(
    broker: EmbeddedNats, js: JetStreamContext
) -> None:
    """A back-off list at the broker would replace `ack_wait` and skew every delayed nak."""
    config = (await about(js)).config
    assert config.ack_wait == Consumer().ack_wait_seconds
    assert config.backoff is None
    assert config.max_deliver == consumer.SERVER_DELIVERIES_MAX > consumer.ATTEMPTS_MAX


async def test_nothing_is_asked_of_a_server_that_is_away(broker: EmbeddedNats) -> None:
    """The client would keep the question and put it to the next server, which may then send
    messages to an inbox that nobody reads any more; seen as every second one coming late.
    """
    await provision(broker.url, "track-unfurl")
    bus = Bus(broker.url, service="track-unfurl")
    await bus.open()
    try:
        pull = bus.pull("CMD_UNFURL", "track-unfurl_links")
        await pull.open()
        broker.kill()
        await eventually(lambda: not bus.is_connected)
        with pytest.raises(BusUnavailable, match="not connected"):
            await pull.next(1)
        await pull.close()
        broker.start()
    finally:
        await bus.close()
