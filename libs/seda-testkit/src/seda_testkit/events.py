"""Events as a test sees them: it speaks as another service, waits, and reads what was said."""

from nats.js import JetStreamContext
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.registry import BY_TYPE, REGISTRY, durable_name
from seda_db import Database
from seda_messaging import Outbox
from seda_messaging.provision import consumers_of, provision
from seda_runtime.ids import uuid7
from sqlalchemy import select

from seda_testkit.clock import NOON
from seda_testkit.eventually import eventually

SETTLED_SECONDS_MAX = 20.0


async def provision_every_service(nats_url: str) -> None:
    """Make the streams and consumers of the whole platform, as after its first start."""
    consumers = {consumer for entry in REGISTRY for consumer in entry.consumers}
    named = {consumer.partition(".")[0] for consumer in consumers}
    for service in sorted(named | {entry.producer for entry in REGISTRY}):
        await provision(nats_url, service)


async def published_by(outbox: Outbox, db: Database) -> list[Contract]:
    """Everything a service wrote to its outbox, sent or not, decoded, in order."""
    table = outbox.table
    query = select(table.c.headers, table.c.payload).order_by(table.c.id)
    async with db.read() as tx:
        rows = (await tx.execute(query)).all()
    return [BY_TYPE[headers["ce-type"]].contract.decode(body) for headers, body in rows]


class Deliveries:
    """Another service, as the broker sees it.

    Copies reach the consumer: an event carries no id by which the broker could drop the second,
    so what is left to help is the inbox.
    """

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._newest: dict[type[Contract], int] = {}
        """Where the newest of each type stands in its stream."""

    async def __call__(self, event: Contract, *, times: int = 1) -> None:
        """Put it on its stream, as its producer would, so many times under one id."""
        producer = BY_TYPE[event.TYPE].producer
        headers = headers_of(event, event_id=uuid7(), service=producer, at=NOON)
        headers.pop("Nats-Msg-Id")
        for _ in range(times):
            receipt = await self._js.publish(event.subject(), event.encode(), headers=headers)
            self._newest[type(event)] = receipt.seq

    async def settled(self, consumer: str, *, timeout_seconds: float = SETTLED_SECONDS_MAX) -> None:
        """Return when that consumer (`<service>.<purpose>`) has dealt with all it was sent."""
        entries = consumers_of(consumer.partition(".")[0])[consumer]
        newest = max((self._newest.get(entry.contract, 0) for entry in entries), default=0)

        async def is_idle() -> bool:
            info = await self._js.consumer_info(entries[0].stream.name, durable_name(consumer))
            # A message that was just stored may not be counted as pending yet.
            has_come = newest == 0 or (
                info.delivered is not None and info.delivered.stream_seq >= newest
            )
            return bool(has_come and info.num_pending == 0 and info.num_ack_pending == 0)

        await eventually(is_idle, timeout_seconds=timeout_seconds)

    async def dead_letters(self, consumer: str) -> int:
        """How many events that consumer has given up."""
        info = await self._js.stream_info("DLQ", subjects_filter=f"seda.dlq.{consumer}")
        return sum((info.state.subjects or {}).values())
