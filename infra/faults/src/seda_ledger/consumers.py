"""Every event of chat becomes one entry; only the inbox keeps a second delivery from another."""

from functools import partial

from seda_contracts.base import Contract
from seda_contracts.registry import REGISTRY
from seda_db import Database
from seda_messaging import Delivery, Subscription, first_delivery

from seda_ledger.tables import EntryRow

STREAM = "CHAT"
CONSUMER = "ledger.entries"


async def on_event(_: Contract, delivery: Delivery, *, db: Database) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            tx.add(EntryRow(event_id=delivery.event_id, type=delivery.type))


def subscriptions(db: Database) -> tuple[Subscription, ...]:
    return tuple(
        Subscription(row.contract, partial(on_event, db=db), consumer=CONSUMER)
        for row in REGISTRY
        if row.stream.name == STREAM
    )
