"""What is committed is published, what is rolled back never is, and nothing is lost on the way."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from opentelemetry import trace
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_db import Database
from seda_messaging import Outbox
from seda_messaging.relay import Relay
from seda_runtime.clock import utc_now
from seda_runtime.failpoints import FailpointReached, arm_failpoints
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from sqlalchemy import func, select, update

Messaging = Callable[..., AbstractAsyncContextManager[None]]
STREAM = "CMD_UNFURL"


def command(number: int) -> UnfurlResolve:
    url = f"http://tunes.example/track/{number}"
    return UnfurlResolve(link_id=link_id(url), url=url)


async def stored(js: JetStreamContext) -> int:
    return (await js.stream_info(STREAM)).state.messages


async def unpublished(database: Database, outbox: Outbox) -> int:
    query = select(func.count()).where(outbox.table.c.published_at.is_(None))
    async with database.begin() as tx:
        return (await tx.execute(query)).scalar_one()


async def make_old(database: Database, outbox: Outbox) -> None:
    """Rows become the sweeper's after two seconds; here they are made older instead of waiting."""
    async with database.begin() as tx:
        await tx.execute(update(outbox.table).values(created_at=utc_now() - timedelta(minutes=1)))


async def test_a_committed_event_is_published_with_its_id_and_body(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    async with messaging():
        async with database.begin() as tx:
            event_id = await outbox.add(tx, command(1))
        await eventually(lambda: none_left(database, outbox))
    message = await js.get_last_msg(STREAM, command(1).subject())
    assert message.headers is not None
    assert message.headers["Nats-Msg-Id"] == message.headers["ce-id"] == str(event_id)
    assert message.headers["ce-source"] == "/seda/chat-realtime"
    assert message.data is not None
    assert UnfurlResolve.decode(message.data) == command(1)


async def test_a_rolled_back_event_never_leaves(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    async with messaging():
        with pytest.raises(RuntimeError, match="changed my mind"):
            async with database.begin() as tx:
                await outbox.add(tx, command(1))
                raise RuntimeError("changed my mind")
        async with database.begin() as tx:
            await outbox.add(tx, command(2))
        await eventually(lambda: stored(js))
    with pytest.raises(NotFoundError):
        await js.get_last_msg(STREAM, command(1).subject())


async def test_the_sweeper_publishes_what_a_crash_left_behind(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    async with database.begin() as tx:  # no relay runs: the process died right after the commit
        await outbox.add(tx, command(1))
    await make_old(database, outbox)
    async with messaging():
        await eventually(lambda: stored(js))
        await eventually(lambda: none_left(database, outbox))


async def none_left(database: Database, outbox: Outbox) -> bool:
    return await unpublished(database, outbox) == 0


async def test_a_row_published_twice_is_stored_once(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    async with messaging():
        async with database.begin() as tx:
            await outbox.add(tx, command(1))
        await eventually(lambda: none_left(database, outbox))
        async with database.begin() as tx:  # as if the crash came between publish and mark
            await tx.execute(update(outbox.table).values(published_at=None))
        await make_old(database, outbox)
        await eventually(lambda: none_left(database, outbox))
    assert await stored(js) == 1


async def test_events_written_while_the_broker_is_dead_arrive_when_it_is_back(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    broker: EmbeddedNats,
    js: JetStreamContext,
) -> None:
    async with messaging():
        async with database.begin() as tx:
            await outbox.add(tx, command(0))
        await eventually(lambda: stored(js))
        broker.kill()
        for number in range(1, 6):
            async with database.begin() as tx:
                await outbox.add(tx, command(number))
        await make_old(database, outbox)
        broker.start()

        async def all_there() -> bool:
            return await unpublished(database, outbox) == 0

        await eventually(all_there)
    assert await stored(js) == 6


async def test_a_relay_that_fails_in_an_unforeseen_way_is_started_again(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, failures = Relay._sweep, iter([RuntimeError("nobody foresaw this")])

    async def fails_once(self: Relay) -> bool:
        for failure in failures:
            raise failure
        return await real(self)

    monkeypatch.setattr(Relay, "_sweep", fails_once)
    async with database.begin() as tx:
        await outbox.add(tx, command(1))
    await make_old(database, outbox)
    async with messaging():
        await eventually(lambda: none_left(database, outbox))


async def test_the_trace_of_the_writer_travels_with_the_event(
    database: Database, outbox: Outbox
) -> None:
    with trace.get_tracer("test").start_as_current_span("send") as span:
        async with database.begin() as tx:
            await outbox.add(tx, command(1))
    async with database.begin() as tx:
        headers = (await tx.execute(select(outbox.table.c.headers))).scalar_one()
    assert f"{span.get_span_context().trace_id:032x}" in headers["traceparent"]


async def test_events_of_one_key_leave_in_the_order_of_their_commits(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    same_link = command(1).link_id
    async with messaging():
        for number in range(50):
            async with database.begin() as tx:
                await outbox.add(
                    tx, UnfurlResolve(link_id=same_link, url=f"http://x.example/{number}")
                )
        await eventually(lambda: has(js, 50))
    urls = []
    for sequence in range(1, 51):
        message = await js.get_msg(STREAM, sequence)
        assert message.data is not None
        urls.append(UnfurlResolve.decode(message.data).url)
    assert urls == [f"http://x.example/{number}" for number in range(50)]


async def has(js: JetStreamContext, count: int) -> bool:
    return await stored(js) == count


@pytest.fixture
def arm() -> Iterator[Callable[[str], None]]:
    """`arm("outbox.after_commit")` lets the process fail there each time."""
    yield lambda name: arm_failpoints(f"{name}:error:1")
    arm_failpoints(None)


async def test_a_failure_before_the_commit_takes_the_event_back(
    database: Database, outbox: Outbox, arm: Callable[[str], None]
) -> None:
    arm("outbox.before_commit")
    with pytest.raises(FailpointReached):
        async with database.begin() as tx:
            await outbox.add(tx, command(1))
    assert await unpublished(database, outbox) == 0


async def test_a_failure_right_after_the_commit_leaves_the_event_to_the_sweeper(
    messaging: Messaging, database: Database, outbox: Outbox, arm: Callable[[str], None]
) -> None:
    async with messaging():
        arm("outbox.after_commit")
        with pytest.raises(FailpointReached):
            async with database.begin() as tx:
                await outbox.add(tx, command(1))
        assert await unpublished(database, outbox) == 1
        await eventually(lambda: none_left(database, outbox))


async def test_a_failure_between_confirmation_and_mark_stores_the_event_once(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    js: JetStreamContext,
    arm: Callable[[str], None],
) -> None:
    async with messaging():
        arm("outbox.after_publish")
        async with database.begin() as tx:
            await outbox.add(tx, command(1))
        await eventually(lambda: stored(js))
        assert await unpublished(database, outbox) == 1
        arm_failpoints(None)
        await eventually(lambda: none_left(database, outbox))
    assert (await js.stream_info(STREAM)).state.last_seq == 1
