"""The ledger's own consumer and broker user: the registry lists only what production runs."""

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from seda_contracts.permissions import PROVISIONER, Permissions, inbox
from seda_contracts.registry import Consumer, durable_name
from seda_messaging.consumer import SERVER_DELIVERIES_MAX
from seda_messaging.provision import provision_streams
from seda_runtime.settings import MigrateSettings

from seda_ledger.consumers import CONSUMER, STREAM

PRODUCER = "chat-realtime"
DURABLE = durable_name(CONSUMER)
BROKER_USER = Permissions(
    publish=(
        f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{DURABLE}",
        f"$JS.ACK.{STREAM}.{DURABLE}.>",
        f"seda.dlq.{CONSUMER}",
    ),
    subscribe=(inbox("ledger"),),
    account="LEDGER",
)
"""What the contracts would print for it, were it of the registry."""


async def provision(settings: MigrateSettings) -> None:
    """Idempotent. The producer's streams are made too: it may migrate later than this."""
    client = await nats.connect(
        settings.nats_url,
        name="ledger-provision",
        inbox_prefix=f"_INBOX_{PROVISIONER}".encode(),
        nkeys_seed_str=settings.nats_nkey_seed,
        connect_timeout=5,
    )
    limits = Consumer()
    try:
        js = client.jetstream(timeout=10)
        await provision_streams(js, PRODUCER)
        await js.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=DURABLE,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=limits.ack_wait_seconds,
                max_deliver=SERVER_DELIVERIES_MAX,
                max_ack_pending=limits.ack_pending_max,
            ),
        )
    finally:
        await client.close()
