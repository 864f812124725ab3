"""Each delivery takes effect once, in order per key, whatever is killed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from uuid import UUID, uuid4

import pytest
from nats.js import JetStreamContext
from seda_contracts.envelope import headers_of
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_db import Database
from seda_messaging import (
    Delivery,
    PermanentFailure,
    Subscription,
    consumer,
    first_delivery,
    pull,
)
from seda_messaging.consumer import back_off_seconds
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from sqlalchemy import column, insert, select, table

EFFECT = table("effect", column("id"), column("note"), schema="example")
CONSUMER = "track-unfurl.links"
Messaging = Callable[..., AbstractAsyncContextManager[None]]
Handler = Callable[[UnfurlResolve, Delivery], Awaitable[None]]


def command(note: str, *, key: str = "a") -> UnfurlResolve:
    return UnfurlResolve(link_id=link_id(key), url=note)


async def publish(
    js: JetStreamContext, contract: UnfurlResolve, *, event_id: UUID | None = None
) -> UUID:
    event_id = event_id or uuid4()
    headers = headers_of(contract, event_id=event_id, service="chat-realtime", at=utc_now())
    del headers["Nats-Msg-Id"]  # so that the broker stores a duplicate for us
    await js.publish(contract.subject(), contract.encode(), headers=headers)
    return event_id


def records(database: Database) -> Handler:
    async def handle(event: UnfurlResolve, delivery: Delivery) -> None:
        async with database.begin() as tx:
            if await first_delivery(tx, delivery):
                await tx.execute(insert(EFFECT).values(note=event.url))

    return handle


async def notes(database: Database) -> list[str]:
    async with database.begin() as tx:
        return list((await tx.execute(select(EFFECT.c.note).order_by(EFFECT.c.id))).scalars())


async def dead(js: JetStreamContext) -> int:
    return (await js.stream_info("DLQ")).state.messages


async def pending(js: JetStreamContext) -> int:
    info = await js.consumer_info("CMD_UNFURL", "track-unfurl_links")
    return (info.num_ack_pending or 0) + (info.num_pending or 0)


async def test_attack_106_the_same_event_delivered_twice_takes_effect_once(
    messaging: Messaging, database: Database, js: JetStreamContext
) -> None:
    async with messaging(Subscription(UnfurlResolve, records(database), consumer=CONSUMER)):
        event_id = await publish(js, command("one"))
        await publish(js, command("one"), event_id=event_id)
        await publish(js, command("two"))
        await eventually(lambda: ends_with(database, "two"))
    assert await notes(database) == ["one", "two"]


async def ends_with(database: Database, note: str) -> bool:
    return (await notes(database))[-1:] == [note]


async def test_no_event_waits_for_a_poll_to_end(
    messaging: Messaging,
    database: Database,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pairs of events after idle polls: the second of a pair used to be held back."""
    monkeypatch.setattr(pull, "POLL_SECONDS", 0.5)
    async with messaging(Subscription(UnfurlResolve, records(database), consumer=CONSUMER)):
        for pair in range(6):
            await asyncio.sleep(0.6)  # longer than a poll: idleness is what is tested
            for note in (f"{pair}a", f"{pair}b"):
                await publish(js, command(note, key=note))
                await eventually(partial(ends_with, database, note), timeout_seconds=0.3)


async def test_a_handler_that_fails_after_its_write_is_tried_again_and_counts_once(
    messaging: Messaging, database: Database, js: JetStreamContext
) -> None:
    attempts: list[int] = []

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        async with database.begin() as tx:
            if await first_delivery(tx, delivery):
                await tx.execute(insert(EFFECT).values(note=event.url))
            if delivery.attempt == 1:
                raise RuntimeError("died before the commit")

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER)):
        await publish(js, command("one"))
        await eventually(lambda: ends_with(database, "one"))
    assert attempts == [1, 2]
    assert await notes(database) == ["one"]


async def test_one_key_is_handled_in_order_while_another_goes_past(
    messaging: Messaging, database: Database, js: JetStreamContext
) -> None:
    order: list[str] = []
    released = asyncio.Event()

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None:
        if event.url == "a1":
            await released.wait()
        order.append(event.url)

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER)):
        for note in ("a1", "a2"):
            await publish(js, command(note, key="a"))
        await publish(js, command("b1", key="b"))
        await eventually(lambda: order == ["b1"])
        released.set()
        await eventually(lambda: order == ["b1", "a1", "a2"])


async def test_a_permanent_failure_is_not_tried_again(
    messaging: Messaging, js: JetStreamContext
) -> None:
    attempts: list[int] = []

    async def handle(event: UnfurlResolve, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise PermanentFailure("no such room")

    async with messaging(Subscription(UnfurlResolve, handle, consumer=CONSUMER)):
        await publish(js, command("one"))
        await eventually(lambda: dead(js))
        await eventually(lambda: nothing_pending(js))
    assert attempts == [1]


async def nothing_pending(js: JetStreamContext) -> bool:
    return await pending(js) == 0


async def test_consuming_goes_on_within_seconds_of_a_killed_broker(
    messaging: Messaging, database: Database, broker: EmbeddedNats, js: JetStreamContext
) -> None:
    """A bare nats-py fetch stays silent for its whole timeout, 15 s here, after a restart."""
    async with messaging(Subscription(UnfurlResolve, records(database), consumer=CONSUMER)):
        await publish(js, command("before"))
        await eventually(lambda: ends_with(database, "before"))
        broker.kill()
        broker.start()
        await eventually(lambda: try_publish(js))
        await eventually(lambda: ends_with(database, "after"), timeout_seconds=12)
    assert await notes(database) == ["before", "after"]


async def try_publish(js: JetStreamContext) -> bool:
    try:
        await publish(js, command("after"), event_id=UUID(int=7))
    except (OSError, TimeoutError):
        return False
    return True


async def test_work_that_outlasts_the_stop_is_given_back_at_once(
    messaging: Messaging,
    database: Database,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "DRAIN_SECONDS_MAX", 0.2)
    begun: list[str] = []

    async def hang(event: UnfurlResolve, delivery: Delivery) -> None:
        begun.append(event.url)
        await asyncio.Event().wait()

    async with messaging(Subscription(UnfurlResolve, hang, consumer=CONSUMER)):
        await publish(js, command("one", key="a"))
        await publish(js, command("two", key="b"))
        await eventually(lambda: begun == ["one", "two"])
        stopped_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopped_at < 5
    async with messaging(Subscription(UnfurlResolve, records(database), consumer=CONSUMER)):
        await eventually(lambda: nothing_pending(js))
    assert sorted(await notes(database)) == ["one", "two"]


async def test_an_undeclared_subscription_refuses_to_start(messaging: Messaging) -> None:
    async def handle(event: UnfurlResolve, delivery: Delivery) -> None: ...

    with pytest.raises(ValueError, match="not declared"):
        async with messaging(Subscription(UnfurlResolve, handle, consumer="crawler.jobs")):
            pass


def test_back_off_doubles_up_to_ten_minutes_and_spreads() -> None:
    assert 1.6 <= back_off_seconds(1) <= 2.4
    assert 12.8 <= back_off_seconds(4) <= 19.2
    assert back_off_seconds(60) <= 720
