"""A bucket in memory stays true across a restart of the server."""

import asyncio
from collections.abc import AsyncIterator

import nats as nats_client
import pytest
from seda_contracts.streams import BUCKETS
from seda_messaging import Bus, BusUnavailable, KeyValueMirror
from seda_messaging.provision import provision
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

BUCKET = "auth_revoked"


async def opened(broker: EmbeddedNats) -> Bus:
    bus = Bus(broker.url, service="test")
    await bus.open()
    return bus


@pytest.fixture
async def two(fresh_nats: EmbeddedNats) -> AsyncIterator[tuple[KeyValueMirror, KeyValueMirror]]:
    await provision(fresh_nats.url, "auth-gateway")
    buses = [await opened(fresh_nats) for _ in range(2)]
    mirrors = [KeyValueMirror(bus, BUCKET) for bus in buses]
    for mirror in mirrors:
        await mirror.open()
    yield mirrors[0], mirrors[1]
    for mirror in mirrors:
        await mirror.close()
    for bus in buses:
        await bus.close()


async def test_what_one_process_puts_the_other_sees(
    two: tuple[KeyValueMirror, KeyValueMirror],
) -> None:
    one, other = two
    await one.put("session-1", b"now")
    await eventually(lambda: other.values.get("session-1") == b"now")


async def test_a_mirror_opened_later_reads_what_was_there(
    two: tuple[KeyValueMirror, KeyValueMirror], fresh_nats: EmbeddedNats
) -> None:
    await two[0].put("session-1", b"now")
    bus = await opened(fresh_nats)
    late = KeyValueMirror(bus, BUCKET)
    await late.open()
    assert late.values == {"session-1": b"now"}
    await late.close()
    await bus.close()


async def test_watching_survives_a_killed_server(
    two: tuple[KeyValueMirror, KeyValueMirror], fresh_nats: EmbeddedNats
) -> None:
    """nats-py's own watcher never recovers (nats.py issue 510)."""
    one, other = two
    back = [mirror._bus.reconnected() for mirror in two]
    fresh_nats.kill()
    fresh_nats.start()
    for event in back:
        await asyncio.wait_for(event.wait(), 10)
    await one.put("session-2", b"later")
    await eventually(lambda: other.values.get("session-2") == b"later")


async def test_a_bucket_that_nobody_made_is_an_outage_that_says_what_to_do(
    fresh_nats: EmbeddedNats,
) -> None:
    bus = await opened(fresh_nats)
    with pytest.raises(BusUnavailable, match="migrate"):
        await KeyValueMirror(bus, BUCKET).open()
    await bus.close()


async def test_migrating_again_gives_an_older_bucket_the_age_of_today(
    fresh_nats: EmbeddedNats,
) -> None:
    """An entry that went too early would let a withdrawn token in."""
    client = await nats_client.connect(fresh_nats.url)
    js = client.jetstream()
    await js.create_key_value(bucket=BUCKET, ttl=60)
    await provision(fresh_nats.url, "auth-gateway")
    bucket = next(bucket for bucket in BUCKETS if bucket.name == BUCKET)
    assert (await js.stream_info(f"KV_{BUCKET}")).config.max_age == bucket.max_age_seconds
    await client.close()


async def test_connections_that_come_and_go_leave_no_watchers_behind(
    two: tuple[KeyValueMirror, KeyValueMirror], fresh_nats: EmbeddedNats
) -> None:
    """Each new watcher is a consumer at the broker; old ones would pile up there."""
    one, other = two
    client = await nats_client.connect(fresh_nats.url)
    js = client.jetstream()

    async def watchers() -> int:
        return int((await js.stream_info(f"KV_{BUCKET}")).state.consumer_count)

    await eventually(watchers)
    for number in range(4):
        back = one._bus.reconnected()
        await one._bus._connection().force_reconnect()
        await asyncio.wait_for(back.wait(), 10)
        await other.put(f"session-{number}", b"now")
        await eventually(lambda: f"session-{number}" in one.values)  # noqa: B023

    async def are_two() -> bool:
        return await watchers() == 2

    await eventually(are_two)
    await client.close()
