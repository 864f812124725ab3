"""Deliveries reach the broker as another service's would, copies included."""

import nats as nats_client
import pytest
from nats.js.api import StreamInfo
from seda_contracts.events.verification import VerificationApproved
from seda_contracts.registry import REGISTRY, durable_name
from seda_runtime.ids import uuid7
from seda_testkit.clock import NOON
from seda_testkit.events import Deliveries
from seda_testkit.nats import EmbeddedNats

CONSUMER = "user-artist.badges"


def approval() -> VerificationApproved:
    return VerificationApproved(
        request_id=uuid7(),
        artist_id=uuid7(),
        user_id=uuid7(),
        reason_code="found",
        decided_at=NOON,
    )


async def verify_stream(broker: EmbeddedNats) -> StreamInfo:
    client = await nats_client.connect(broker.url)
    try:
        return await client.jetstream().stream_info("VERIFY")
    finally:
        await client.close()


async def test_the_broker_holds_every_stream_of_the_registry(broker: EmbeddedNats) -> None:
    client = await nats_client.connect(broker.url)
    names = {info.config.name for info in await client.jetstream().streams_info()}
    await client.close()
    assert {entry.stream.name for entry in REGISTRY} <= names


async def test_copies_of_one_event_all_arrive(broker: EmbeddedNats, deliver: Deliveries) -> None:
    before = (await verify_stream(broker)).state.messages
    await deliver(approval(), times=2)
    assert (await verify_stream(broker)).state.messages == before + 2


async def test_a_consumer_is_settled_when_it_has_acknowledged_everything(
    broker: EmbeddedNats, deliver: Deliveries
) -> None:
    await deliver(approval())
    with pytest.raises(AssertionError, match="not true within"):
        await deliver.settled(CONSUMER, timeout_seconds=0.1)
    client = await nats_client.connect(broker.url)
    pulling = await client.jetstream().pull_subscribe_bind(durable_name(CONSUMER), "VERIFY")
    for message in await pulling.fetch(100, timeout=1):
        await message.ack_sync()
    await deliver.settled(CONSUMER)
    await client.close()
    assert await deliver.dead_letters(CONSUMER) == 0
