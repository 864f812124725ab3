"""A bucket in memory stays true across a restart of the server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from seda_messaging import Bus, KeyValueMirror
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats


async def opened(broker: EmbeddedNats) -> Bus:
    bus = Bus(broker.url, service="test")
    await bus.open()
    return bus


@pytest.fixture
async def two(fresh_nats: EmbeddedNats) -> AsyncIterator[tuple[KeyValueMirror, KeyValueMirror]]:
    buses = [await opened(fresh_nats) for _ in range(2)]
    mirrors = [KeyValueMirror(bus, "revoked", ttl_seconds=60) for bus in buses]
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
    late = KeyValueMirror(bus, "revoked", ttl_seconds=60)
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
    await eventually(lambda: other.values.get("session-2") == b"later", timeout_seconds=10)
