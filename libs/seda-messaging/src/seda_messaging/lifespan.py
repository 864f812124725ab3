"""Open and close a service's messaging in the right order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from seda_contracts.registry import BY_TYPE
from seda_db import Database

from seda_messaging.bus import Bus
from seda_messaging.consumer import Subscription, consume
from seda_messaging.outbox import Outbox


@asynccontextmanager
async def run_messaging(
    bus: Bus, outbox: Outbox, database: Database, subscriptions: Sequence[Subscription]
) -> AsyncIterator[None]:
    """Connect, relay the outbox and consume; on the way out stop taking, finish, hang up.

    Raises ValueError for a subscription that the contracts registry does not declare.
    """
    grouped = group_by_consumer(subscriptions)
    inbox = outbox.table.metadata.tables[f"{outbox.table.schema}.inbox"]
    await bus.open()
    tasks = [asyncio.create_task(outbox.relay(bus, database))]
    for group in grouped.values():
        stream = BY_TYPE[group[0].contract.TYPE].stream.name
        tasks.append(asyncio.create_task(consume(bus, inbox, stream, group)))
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()


def group_by_consumer(subscriptions: Sequence[Subscription]) -> dict[str, list[Subscription]]:
    grouped: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        entry = BY_TYPE[subscription.contract.TYPE]
        if subscription.consumer not in entry.consumers:
            raise ValueError(f"{subscription.consumer} is not declared for {entry.contract.TYPE}")
        grouped.setdefault(subscription.consumer, []).append(subscription)
    return grouped
