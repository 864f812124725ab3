"""The order of a key survives whatever fails, and a row that cannot leave harms no other."""

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import prometheus_client
import pytest
from nats.js import JetStreamContext
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_db import Database
from seda_messaging import Bus, Outbox, outbox_rows, relay, run_messaging
from seda_messaging.provision import provision
from seda_messaging.replay import outbox_status
from seda_runtime.telemetry import configure_telemetry
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from sqlalchemy import Insert, Row, func, insert, select, text, update
from sqlalchemy.dialects import postgresql

Messaging = Callable[..., AbstractAsyncContextManager[None]]
STREAM = "CMD_UNFURL"
KEY = link_id("one")
AN_HOUR = timedelta(hours=1)


def numbered(number: int, *, key: Any = KEY) -> UnfurlResolve:
    return UnfurlResolve(link_id=key, url=f"http://x.example/{number}")


async def add(database: Database, outbox: Outbox, *commands: UnfurlResolve) -> None:
    """Each in a transaction of its own."""
    for command in commands:
        async with database.begin() as tx:
            await outbox.add(tx, command)


def row_for(outbox: Outbox, subject: str) -> Insert:
    """A row with a subject that no contract has."""
    return insert(outbox.table).values(
        event_id=link_id("e"), subject=subject, ordering_key="x", headers={}, payload=b""
    )


async def rows(database: Database, outbox: Outbox) -> list[Row[Any]]:
    async with database.begin() as tx:
        return list((await tx.execute(select(outbox.table).order_by(outbox.table.c.id))).all())


async def wait_until_all_left(database: Database, outbox: Outbox) -> None:
    async def all_left() -> bool:
        return all(row.published_at is not None for row in await rows(database, outbox))

    await eventually(all_left)


async def stored_numbers(js: JetStreamContext) -> list[int]:
    """The numbers of the stored commands, in the order of the stream."""
    state = (await js.stream_info(STREAM)).state
    numbers = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        data = (await js.get_msg(STREAM, sequence)).data
        assert data is not None
        numbers.append(int(UnfurlResolve.decode(data).url.rpartition("/")[2]))
    return numbers


async def tried_in_vain(database: Database, outbox: Outbox) -> bool:
    return any(row.attempts for row in await rows(database, outbox))


async def test_a_row_does_not_overtake_one_of_its_key_that_was_not_confirmed(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    broker: EmbeddedNats,
    js: JetStreamContext,
) -> None:
    async with messaging():
        await add(database, outbox, numbered(0, key=link_id("warm")))
        await wait_until_all_left(database, outbox)
        await js.delete_stream(STREAM)
        await add(database, outbox, numbered(1))
        await eventually(lambda: tried_in_vain(database, outbox))
        await provision(broker.url, "chat-realtime")
        await add(database, outbox, *(numbered(number) for number in range(2, 8)))
        await wait_until_all_left(database, outbox)
    assert await stored_numbers(js) == list(range(1, 8))


async def test_a_row_does_not_overtake_one_that_an_earlier_process_left(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    await add(database, outbox, numbered(1))  # that process died right after the commit
    async with messaging():
        await add(database, outbox, *(numbered(number) for number in range(2, 8)))
        await wait_until_all_left(database, outbox)
    assert await stored_numbers(js) == list(range(1, 8))


async def test_a_row_does_not_overtake_those_for_which_a_lane_had_no_room(
    messaging: Messaging,
    database: Database,
    outbox: Outbox,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "LANE_ROWS_MAX", 5)
    async with messaging():
        await add(database, outbox, numbered(0))
        await wait_until_all_left(database, outbox)
        async with database.begin() as tx:
            for number in range(1, 31):
                await outbox.add(tx, numbered(number))
        await add(database, outbox, *(numbered(number) for number in range(31, 40)))
        await wait_until_all_left(database, outbox)
    assert await stored_numbers(js) == list(range(40))


async def test_other_keys_leave_while_one_waits_for_a_stream_that_is_not_there(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    async with messaging():
        async with database.begin() as tx:
            await tx.execute(row_for(outbox, "seda.nowhere.x"))
        await eventually(lambda: tried_in_vain(database, outbox))
        await add(database, outbox, *(numbered(number) for number in range(20)))
        await eventually(lambda: has(js, 20))
    first = (await rows(database, outbox))[0]
    assert (first.published_at, first.refused_at) == (None, None)
    assert "NoStreamResponse" in first.last_error


async def has(js: JetStreamContext, count: int) -> bool:
    return (await js.stream_info(STREAM)).state.messages == count


async def test_a_row_above_the_brokers_limit_is_put_aside_and_the_next_of_its_key_leaves(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    huge = UnfurlResolve(link_id=KEY, url=f"http://x.example/{secrets.token_hex(600_000)}")
    async with messaging():
        await add(database, outbox, huge, numbered(1))
        await eventually(lambda: has(js, 1))
        await eventually(lambda: tried_in_vain(database, outbox))
        await add(database, outbox, *(numbered(number) for number in range(2, 30)))
        await eventually(lambda: has(js, 29))
        async with database.begin() as tx:
            status = await outbox_status(tx, "example")
    aside = (await rows(database, outbox))[0]
    assert aside.refused_at is not None
    assert 1 <= aside.attempts <= 3  # after 0, 2 and 4 seconds: it does not spin
    assert (status.waiting, status.refused, status.published_kept) == (1, 1, 29)
    assert status.last_error == aside.last_error
    assert "bigger than" in aside.last_error


async def test_a_row_whose_subject_is_not_ours_is_put_aside(
    database: Database, outbox: Outbox
) -> None:
    """The broker tells of it by the error callback alone; to the publisher it is a time-out."""
    user = f'user: "chat", password: "{(password := secrets.token_hex(8))}"'
    forbidden = numbered(1).subject()
    rights = f'{{ publish: {{ allow: [">"], deny: ["{forbidden}"] }} }}'
    config = f"authorization {{ users: [ {{ {user}, permissions: {rights} }} ] }}\n"
    with EmbeddedNats(extra_config=config) as server:
        url = server.url.replace("nats://", f"nats://chat:{password}@")
        await provision(url, "chat-realtime")
        async with run_messaging(Bus(url, service="chat-realtime"), outbox, database, ()):
            await add(database, outbox, numbered(1), numbered(2, key=link_id("other")))

            async def is_put_aside() -> bool:
                first, second = await rows(database, outbox)
                return first.refused_at is not None and second.published_at is not None

            await eventually(is_put_aside)
    assert "no permission" in (await rows(database, outbox))[0].last_error


async def test_a_relay_that_is_stopped_while_it_sends_gives_back_what_it_holds(
    messaging: Messaging, database: Database, outbox: Outbox, js: JetStreamContext
) -> None:
    """Else the next process would wait for the end of the lease."""

    async def is_claimed() -> bool:
        return (await rows(database, outbox))[0].claimed_until is not None

    # Somebody hears it, so the broker does not say that nobody does; and nobody confirms it.
    hearing = await js._nc.subscribe("seda.quiet.x")
    async with database.begin() as tx:
        await tx.execute(row_for(outbox, "seda.quiet.x"))
    async with messaging():
        await hearing.next_msg(timeout=10)
        assert await is_claimed()
    assert not await is_claimed()


async def test_attempts_wait_longer_each_time_up_to_a_bound(
    database: Database, outbox: Outbox
) -> None:
    await add(database, outbox, numbered(1))
    waits = []
    for attempts in [*range(9), 1_000_000]:
        async with database.begin() as tx:
            due = {"attempts": attempts, "claimed_until": None}
            await tx.execute(update(outbox.table).values(due))
            claimed = await outbox_rows.claim(tx, outbox.table, 10)
            assert claimed is not None
            outcome = outbox_rows.Outcome(unconfirmed={claimed[0].id: "not now"})
            await outbox_rows.settle(tx, outbox.table, claimed, outcome)
            wait = select(func.extract("epoch", outbox.table.c.claimed_until - func.now()))
            waits.append(int((await tx.execute(wait)).scalar_one()))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


async def test_two_sweepers_do_not_take_rows_of_one_key_beside_each_other(
    database: Database, outbox: Outbox
) -> None:
    await add(database, outbox, numbered(1), numbered(2), numbered(3, key=link_id("other")))
    async with database.begin() as one:
        first = await outbox_rows.claim(one, outbox.table, 1)
        async with database.begin() as two:
            assert await outbox_rows.claim(two, outbox.table, 10) is None
    async with database.begin() as two:
        second = await outbox_rows.claim(two, outbox.table, 10)
    assert first is not None
    assert second is not None
    assert [row.payload for row in first] == [numbered(1).encode()]
    assert [row.payload for row in second] == [numbered(3, key=link_id("other")).encode()]


async def test_a_claim_reads_no_published_row(database: Database, outbox: Outbox) -> None:
    fill = text(
        "INSERT INTO example.outbox (event_id, subject, ordering_key, headers, payload, "
        "created_at, published_at) SELECT gen_random_uuid(), 's', 'k' || n, '{}', '', "
        "now() - n * interval '5 seconds', now() FROM generate_series(1, 20000) AS n"
    )
    async with database.begin() as tx:
        await tx.execute(fill)
    await add(database, outbox, *(numbered(number) for number in range(3)))
    claim = outbox_rows.claimable(outbox.table, 200).compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    )
    async with database.begin() as tx:
        await tx.execute(text("ANALYZE example.outbox"))
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {claim}"
        (plan,) = (await tx.execute(text(explain))).scalar_one()
    scans = list(scans_of(plan["Plan"]))
    assert sum(scan["Actual Rows"] for scan in scans) == 3
    for scan in scans:
        assert scan.get("Rows Removed by Filter", 0) == 0
        if scan["Node Type"] == "Seq Scan":  # cheaper than an index where there is nothing
            assert scan["Actual Rows"] == 0


def scans_of(plan: dict[str, Any]) -> Any:
    if "Scan" in plan["Node Type"] and plan.get("Relation Name", "").startswith("outbox"):
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans_of(part)


def measured(sample: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels, as Prometheus would read it."""
    return sum(
        found.value
        for family in prometheus_client.REGISTRY.collect()
        for found in family.samples
        if found.name == sample and labels.items() <= found.labels.items()
    )


async def test_what_is_published_late_and_twice_is_measured(
    messaging: Messaging, database: Database, outbox: Outbox
) -> None:
    configure_telemetry(service="x", version="0", env="test", otlp_endpoint=None, sample_ratio=0)
    names = ("eager", "sweeper")
    before = [measured("seda_outbox_published_total", path=name) for name in names]
    timed = measured("seda_outbox_publish_duration_seconds_count")
    duplicates = measured("seda_outbox_duplicates_total")
    async with messaging():
        await add(database, outbox, numbered(1))
        await wait_until_all_left(database, outbox)
        await add(database, outbox, numbered(2))  # nothing is behind any more
        await wait_until_all_left(database, outbox)
        async with database.begin() as tx:
            await tx.execute(
                update(outbox.table).values(published_at=None, created_at=func.now() - AN_HOUR)
            )
        await eventually(lambda: measured("seda_outbox_oldest_seconds") > 3_600)
        await wait_until_all_left(database, outbox)
        await eventually(lambda: measured("seda_outbox_oldest_seconds") == 0)
    after = [measured("seda_outbox_published_total", path=name) for name in names]
    assert sum(after) - sum(before) == 4
    assert after[0] - before[0] >= 1
    assert after[1] - before[1] >= 2
    assert measured("seda_outbox_duplicates_total") - duplicates == 2
    assert measured("seda_outbox_publish_duration_seconds_count") - timed == 4
