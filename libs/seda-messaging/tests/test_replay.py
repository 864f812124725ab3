"""What a broker has lost is said again, with the same ids, and takes effect once."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from nats.js import JetStreamContext
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_db import Database
from seda_messaging import Delivery, Outbox, Subscription, first_delivery
from seda_messaging.outbox_command import OutboxCommandFailed, replay_now, status_now
from seda_messaging.provision import provision
from seda_messaging.replay import OutboxStatus, outbox_status, replay
from seda_runtime.clock import utc_now
from seda_runtime.settings import SettingsError
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from sqlalchemy import Table, column, func, insert, select, table, update

Messaging = Callable[..., AbstractAsyncContextManager[None]]
STREAM = "CMD_UNFURL"
TYPE = UnfurlResolve.TYPE
HOUR = timedelta(hours=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def add(database: Database, outbox: Outbox, count: int, *, first: int = 0) -> set[UUID]:
    ids = set()
    for number in range(first, first + count):
        url = f"http://x.example/{number}"
        async with database.begin() as tx:
            ids.add(await outbox.add(tx, UnfurlResolve(link_id=link_id(url), url=url)))
    return ids


async def status_of(database: Database) -> OutboxStatus:
    async with database.begin() as tx:
        return await outbox_status(tx, "example")


async def wait_until_all_left(database: Database) -> None:
    async def none_waits() -> bool:
        return (await status_of(database)).waiting == 0

    await eventually(none_waits)


async def replayed(database: Database, *, since: datetime) -> int:
    async with database.begin() as tx:
        return await replay(tx, "example", since=since)


class Effects:
    """A consumer with an inbox: it counts arrivals, and writes a row for each first one."""

    def __init__(self, database: Database) -> None:
        self.arrivals: list[UUID] = []
        self._database = database
        self._table = table("effect", column("note"), schema="example")

    @property
    def subscription(self) -> Subscription:
        return Subscription(UnfurlResolve, self._handle, "track-unfurl.links")

    async def _handle(self, event: UnfurlResolve, delivery: Delivery) -> None:
        async with self._database.begin() as tx:
            if await first_delivery(tx, delivery):
                await tx.execute(insert(self._table).values(note=event.url))
        self.arrivals.append(delivery.event_id)

    async def count(self) -> int:
        async with self._database.begin() as tx:
            query = select(func.count()).select_from(self._table)
            return (await tx.execute(query)).scalar_one()

    async def wait_for(self, arrivals: int) -> None:
        await eventually(lambda: len(self.arrivals) >= arrivals)


async def test_a_broker_that_lost_everything_hears_every_event_again_with_one_effect_each(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    broker: EmbeddedNats,
    js: JetStreamContext,
) -> None:
    effects = Effects(database)
    async with messaging(effects.subscription):
        ids = await add(database, outbox, 20)
        await effects.wait_for(20)
        await wait_until_all_left(database)
    await js.delete_stream(STREAM)  # with its durables and what it knew of duplicates
    await provision(broker.url, "chat-realtime")
    await provision(broker.url, "track-unfurl")
    assert await replayed(database, since=utc_now() - HOUR) == 20
    async with messaging(effects.subscription):
        await effects.wait_for(40)
        ids |= await add(database, outbox, 1, first=20)
        await effects.wait_for(41)
        await wait_until_all_left(database)
    assert set(effects.arrivals) == ids
    assert await effects.count() == 21


async def test_a_broker_that_lost_nothing_drops_what_it_still_knows(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    async with messaging():
        await add(database, outbox, 10)
        await wait_until_all_left(database)
        assert await replayed(database, since=utc_now() - HOUR) == 10
        await wait_until_all_left(database)
    state = (await js.stream_info(STREAM)).state
    assert (state.messages, state.last_seq) == (10, 10)


@pytest.fixture
async def published(database: Database, outbox: Outbox) -> Table:
    """Five rows, published one, two … five hours ago, all of them written seven hours ago."""
    await add(database, outbox, 5)
    rows = outbox.table
    async with database.begin() as tx:
        ids = list((await tx.execute(select(rows.c.id).order_by(rows.c.id))).scalars())
        for hours, row_id in enumerate(ids, start=1):
            times = {"created_at": utc_now() - 7 * HOUR, "published_at": utc_now() - hours * HOUR}
            await tx.execute(update(rows).where(rows.c.id == row_id).values(times))
    return rows


async def test_a_replay_goes_by_the_time_of_publishing(
    published: Table, database: Database
) -> None:
    """What waited for hours while the broker was away was lost with what was written later."""
    since, until = utc_now() - 3.5 * HOUR, utc_now() - 1.5 * HOUR
    async with database.begin() as tx:
        assert await replay(tx, "example", since=since, until=until) == 2
    status = await status_of(database)
    assert (status.waiting, status.published_kept) == (2, 3)


async def test_a_replay_can_be_of_one_type(published: Table, database: Database) -> None:
    del published
    since = utc_now() - 9 * HOUR
    async with database.begin() as tx:
        assert await replay(tx, "example", since=since, type="chat.message.sent.v1") == 0
        assert await replay(tx, "example", since=since, type=TYPE) == 5


async def test_a_replay_refuses_what_it_would_misread(database: Database) -> None:
    async with database.begin() as tx:
        with pytest.raises(ValueError, match="time zone"):
            await replay(tx, "example", since=datetime(2026, 1, 1))  # noqa: DTZ001
        with pytest.raises(ValueError, match="contracts"):
            await replay(tx, "example", since=NOON, type="chat.nothing.v1")


async def test_the_status_tells_what_waits_and_what_is_kept(
    published: Table, database: Database, outbox: Outbox
) -> None:
    del published
    assert (await status_of(database)).oldest_waiting_seconds is None
    await add(database, outbox, 2, first=9)
    status = await status_of(database)
    assert (status.waiting, status.refused, status.published_kept) == (2, 0, 5)
    assert status.oldest_waiting_seconds is not None
    assert 0 <= status.oldest_waiting_seconds < 60
    assert status.kept_since is not None
    assert abs(status.kept_since - (utc_now() - 5 * HOUR)) < timedelta(minutes=1)
    assert status.last_error is None


async def test_the_status_of_an_empty_outbox(database: Database) -> None:
    empty = OutboxStatus(
        waiting=0,
        oldest_waiting_seconds=None,
        refused=0,
        published_kept=0,
        kept_since=None,
        last_error=None,
    )
    assert await status_of(database) == empty


async def test_someone_on_call_replays_and_looks(published: Table, database_url: str) -> None:
    del published
    environment = {"DATABASE_URL": database_url}

    def words() -> tuple[str, OutboxStatus]:
        options = ["--since", "150m", "--type", TYPE]
        said = replay_now("example", options, environment, types=[TYPE])
        return said, status_now("example", environment)

    said, status = await asyncio.to_thread(words)
    assert said.startswith("2 events wait to be published again")
    assert (status.waiting, status.published_kept) == (2, 3)


async def test_a_replay_of_more_than_is_kept_says_so(published: Table, database_url: str) -> None:
    del published
    environment = {"DATABASE_URL": database_url}
    said = await asyncio.to_thread(
        lambda: replay_now("example", ["--since", "3d"], environment, types=[TYPE])
    )
    assert "5 events" in said
    assert "oldest kept" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "yesterday"], "write 30m, 2h, 3d"),
        (["--since", "1h", "--until", "2h"], "exchange them"),
        (["--since", "1h", "--type", "chat.message.sent.v1"], f"take one of {TYPE}"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_the_next_step(
    options: list[str], said: str
) -> None:
    with pytest.raises(OutboxCommandFailed, match=said):
        replay_now("example", options, {"DATABASE_URL": "postgresql://x"}, types=[TYPE])


def test_a_database_that_does_not_answer_is_told_with_the_next_step() -> None:
    nowhere = {"DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}
    with pytest.raises(OutboxCommandFailed, match="DATABASE_URL"):
        status_now("example", nowhere)
    with pytest.raises(SettingsError, match="DATABASE_URL is required"):
        status_now("example", {})


async def test_a_schema_without_an_outbox_is_told_with_the_next_step(database_url: str) -> None:
    with pytest.raises(OutboxCommandFailed, match="migrate"):
        await asyncio.to_thread(status_now, "public", {"DATABASE_URL": database_url})
