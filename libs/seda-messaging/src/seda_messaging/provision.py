"""Create what a service needs at the broker, from the contracts.

Streams, durable consumers and buckets. Run by `python -m <service> migrate`, so a service brings
its own ground and needs no other first.
"""

import asyncio
from collections.abc import Sequence

import nats
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)
from nats.js.errors import BadRequestError
from seda_contracts import registry
from seda_contracts.base import Contract
from seda_contracts.permissions import PROVISIONER
from seda_contracts.registry import (
    CONSUMERS,
    Consumer,
    Entry,
    consumed_by,
    durable_name,
    produced_by,
)
from seda_contracts.streams import (
    BUCKETS,
    DUPLICATE_WINDOW_SECONDS,
    NETS,
    STREAMS,
    Bucket,
    Stream,
)

from seda_messaging.consumer import SERVER_DELIVERIES_MAX

READER_LIMITS = Consumer(ack_wait_seconds=30)
"""A client of anybody's may not know how to say that it is still at it."""
NAME_IN_USE = 10058
"""JetStream: "stream name already in use with a different configuration"."""


async def provision(nats_url: str, service: str, *, nkey_seed: str | None = None) -> None:
    """Idempotent. Raises nats errors when the broker refuses a declaration.

    `nkey_seed` is the provisioner's private key where the broker knows users.
    """
    client = await nats.connect(
        nats_url,
        name=f"{service}-provision",
        inbox_prefix=f"_INBOX_{PROVISIONER}".encode(),
        nkeys_seed_str=nkey_seed,
        connect_timeout=5,
    )
    try:
        await provision_streams(client.jetstream(timeout=10), service)
    finally:
        await client.close()


async def provision_streams(js: JetStreamContext, service: str) -> None:
    needed = {e.stream.name for e in (*produced_by(service), *consumed_by(service))} | set(NETS)
    for stream in STREAMS:
        if stream.name in needed:
            await _ensure_stream(js, stream)
    for consumer, entries in consumers_of(service).items():
        contracts = [entry.contract for entry in entries]
        limits = CONSUMERS.get(consumer, Consumer())
        await _ensure_consumer(
            js, entries[0].stream, durable_name(consumer), contracts, limits=limits
        )
    for reader in registry.READERS:
        if reader.producer == service:
            await _ensure_consumer(
                js, reader.stream, reader.name, reader.contracts, limits=READER_LIMITS
            )
    for bucket in BUCKETS:
        if bucket.service == service:
            await _ensure_bucket(js, bucket)


def consumers_of(service: str) -> dict[str, list[Entry]]:
    """Durable consumers of a service with the events each takes. One consumer, one stream."""
    found: dict[str, list[Entry]] = {}
    for entry in consumed_by(service):
        for consumer in entry.consumers:
            if consumer.startswith(f"{service}."):
                found.setdefault(consumer, []).append(entry)
    for consumer, entries in found.items():
        if len({entry.stream.name for entry in entries}) != 1:
            raise ValueError(f"{consumer} takes events of more than one stream")
    return found


def _config(stream: Stream) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE if stream.work_queue else RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=stream.max_age_seconds,
        max_msgs=stream.messages_max,
        max_bytes=stream.bytes_max,
        max_msgs_per_subject=1 if stream.latest_only else -1,
        # A full queue refuses new work loudly; a full log forgets its oldest facts.
        discard=DiscardPolicy.NEW if stream.work_queue else DiscardPolicy.OLD,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        compression=StoreCompression.S2 if stream.compressed else StoreCompression.NONE,
        num_replicas=1,
        allow_direct=True,
    )


async def _ensure_stream(js: JetStreamContext, stream: Stream) -> None:
    config = _config(stream)
    try:
        await js.add_stream(config)
    except BadRequestError as error:
        if error.err_code != NAME_IN_USE:
            raise
        await js.update_stream(config)


async def _ensure_bucket(js: JetStreamContext, bucket: Bucket) -> None:
    try:
        await js.create_key_value(KeyValueConfig(bucket=bucket.name, ttl=bucket.max_age_seconds))
    except BadRequestError as error:
        if error.err_code != NAME_IN_USE:
            raise
        config = (await js.stream_info(f"KV_{bucket.name}")).config
        config.max_age = bucket.max_age_seconds
        await js.update_stream(config)


async def _ensure_consumer(
    js: JetStreamContext,
    stream: Stream,
    durable: str,
    contracts: Sequence[type[Contract]],
    *,
    limits: Consumer,
) -> None:
    await js.add_consumer(
        stream.name,
        ConsumerConfig(
            durable_name=durable,
            filter_subjects=sorted(contract.subject_filter() for contract in contracts),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=limits.ack_wait_seconds,
            max_deliver=SERVER_DELIVERIES_MAX,
            max_ack_pending=limits.ack_pending_max,
        ),
    )


def provision_now(nats_url: str, service: str, *, nkey_seed: str | None = None) -> None:
    asyncio.run(provision(nats_url, service, nkey_seed=nkey_seed))
