"""Events of many messages at once: one statement, where `Outbox.add` takes one for each."""

from collections.abc import Sequence
from contextvars import Context
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts.base import Contract
from seda_messaging import Outbox
from seda_messaging.outbox_rows import Row
from seda_runtime.failpoints import failpoint
from sqlalchemy import event as session_event
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_ADD = text(
    """
    INSERT INTO chat.outbox (event_id, subject, ordering_key, headers, payload)
    SELECT event_id, subject, ordering_key, CAST(headers AS jsonb), payload
    FROM unnest(
        CAST(:event_ids AS uuid[]), CAST(:subjects AS text[]), CAST(:ordering_keys AS text[]),
        CAST(:headers AS text[]), CAST(:payloads AS bytea[])
    ) WITH ORDINALITY AS row(event_id, subject, ordering_key, headers, payload, position)
    ORDER BY position
    RETURNING id, event_id
    """
)


async def add_events(
    tx: AsyncSession, outbox: Outbox, events: Sequence[tuple[Context, Contract]]
) -> None:
    """Write the events, in this order, beside what they tell of.

    Each is prepared in its own context, because it belongs to the trace of who caused it.
    """
    rows: dict[UUID, dict[str, Any]] = {}
    for context, contract in events:
        event_id, headers = context.run(outbox.prepare, contract)
        rows[event_id] = {
            "subject": contract.subject(),
            "ordering_key": contract.key(),
            "headers": headers,
            "payload": contract.encode(),
        }
    parameters = {
        "event_ids": list(rows),
        "subjects": [row["subject"] for row in rows.values()],
        "ordering_keys": [row["ordering_key"] for row in rows.values()],
        "headers": [msgspec.json.encode(row["headers"]).decode() for row in rows.values()],
        "payloads": [row["payload"] for row in rows.values()],
    }
    written = (await tx.execute(_ADD, parameters)).all()
    offered = (Row(id=row.id, **rows[row.event_id]) for row in written)
    offer_after_commit(tx, outbox, sorted(offered, key=lambda row: row.id))
    failpoint("outbox.before_commit")


def offer_after_commit(tx: AsyncSession, outbox: Outbox, rows: Sequence[Row]) -> None:
    def committed(_: Any) -> None:
        failpoint("outbox.after_commit")
        outbox.offer(rows)

    session_event.listen(tx.sync_session, "after_commit", committed, once=True)
