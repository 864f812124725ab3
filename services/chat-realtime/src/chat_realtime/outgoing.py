"""Events of many messages at once: written by the statement that writes the messages, where
`Outbox.add` takes a statement for each.
"""

from collections.abc import Sequence
from contextvars import Context

from seda_contracts.base import Contract
from seda_db import Transaction
from seda_messaging import Outbox, Prepared
from seda_runtime.failpoints import failpoint


def prepare_each(outbox: Outbox, events: Sequence[tuple[Context, Contract]]) -> list[Prepared]:
    """Each in its own context, because it belongs to the trace of who caused it."""
    return [context.run(outbox.prepare, contract) for context, contract in events]


def offer_written(
    tx: Transaction, outbox: Outbox, events: Sequence[Prepared], row_ids: Sequence[int]
) -> None:
    """Hand the rows to the relay once they are committed."""
    rows = [event.row(row_id) for row_id, event in zip(row_ids, events, strict=True)]
    outbox.offer_after_commit(tx, rows)
    failpoint("outbox.before_commit")
