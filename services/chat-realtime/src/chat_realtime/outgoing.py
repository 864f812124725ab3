"""Events of many messages at once: written by the statement that writes the messages, where
`Outbox.add` takes a statement for each.
"""

from collections.abc import Sequence
from contextvars import Context

import msgspec
from seda_contracts.base import Contract
from seda_db import Transaction, after_commit
from seda_messaging import Outbox
from seda_messaging.outbox_rows import Row
from seda_runtime.failpoints import failpoint

from chat_realtime.messages.send_store import EventToWrite


def events_to_write(
    outbox: Outbox, events: Sequence[tuple[Context, Contract]]
) -> list[EventToWrite]:
    """Each is prepared in its own context, because it belongs to the trace of who caused it."""
    rows = []
    for position, (context, contract) in enumerate(events):
        event_id, headers = context.run(outbox.prepare, contract)
        rows.append(
            EventToWrite(
                position=position,
                event_id=event_id,
                subject=contract.subject(),
                ordering_key=contract.key(),
                headers=headers,
                payload=msgspec.Raw(contract.encode()),
            )
        )
    return rows


def offer_written(
    tx: Transaction, outbox: Outbox, events: Sequence[EventToWrite], row_ids: Sequence[int]
) -> None:
    """Hand the rows to the relay once they are committed."""
    rows = [
        Row(
            id=row_id,
            subject=event.subject,
            ordering_key=event.ordering_key,
            headers=event.headers,
            payload=bytes(event.payload),
        )
        for row_id, event in zip(row_ids, events, strict=True)
    ]
    offer_after_commit(tx, outbox, rows)
    failpoint("outbox.before_commit")


def offer_after_commit(tx: Transaction, outbox: Outbox, rows: Sequence[Row]) -> None:
    def committed() -> None:
        failpoint("outbox.after_commit")
        outbox.offer(rows)

    after_commit(tx, committed)
