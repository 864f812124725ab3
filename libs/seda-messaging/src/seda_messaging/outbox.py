"""Events leave through the same transaction that made them true.

`add` writes the row; the commit hands it to the relay, which publishes it at least once, with its
id as the broker's duplicate key.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from seda_contracts.base import Contract
from seda_contracts.envelope import PARTITION_KEY, headers_of
from seda_db import Database, Transaction, after_commit
from seda_runtime.clock import Clock, utc_now
from seda_runtime.failpoints import failpoint
from seda_runtime.ids import uuid7
from sqlalchemy import MetaData, insert
from sqlalchemy.ext.asyncio import AsyncSession

from seda_messaging.bus import Bus
from seda_messaging.outbox_rows import Prepared, Row
from seda_messaging.relay import Relay

_propagator = TraceContextTextMapPropagator()


class Outbox:
    """The outgoing events of one service: `add` in a transaction, `run_messaging` does the rest."""

    def __init__(
        self,
        metadata: MetaData,
        *,
        service: str,
        now: Clock = utc_now,
    ) -> None:
        self.table = metadata.tables[f"{metadata.schema}.outbox"]
        self._insert = insert(self.table).returning(self.table.c.id)
        self._service = service
        self._now = now
        self._relay: Relay | None = None

    async def add(self, tx: AsyncSession, contract: Contract) -> UUID:
        """Write the event beside the change it tells of. Returns the event id.

        Raises UnsafeSubjectKeyError for a key that could alter the subject.
        """
        prepared = self.prepare(contract)
        values = msgspec.structs.asdict(prepared) | {"payload": bytes(prepared.payload)}
        row_id = (await tx.execute(self._insert, values)).scalar_one()
        self.offer_after_commit(tx, [prepared.row(row_id)])
        failpoint("outbox.before_commit")
        return prepared.event_id

    def prepare(self, contract: Contract) -> Prepared:
        """What a hand-written statement inserts."""
        event_id = uuid7()
        headers = headers_of(contract, event_id=event_id, service=self._service, at=self._now())
        span = trace.get_current_span()
        if span.get_span_context().is_valid:
            _propagator.inject(headers, context=trace.set_span_in_context(span))
        key = headers[PARTITION_KEY]
        return Prepared(
            event_id=event_id,
            subject=contract.subject_of(key),
            ordering_key=key,
            headers=headers,
            payload=msgspec.Raw(contract.encode()),
        )

    def offer(self, rows: Sequence[Row]) -> None:
        """Committed rows: publish them now if there is room, else leave them to the sweeper."""
        if self._relay is not None:
            self._relay.offer(rows)

    def offer_after_commit(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """For rows that `tx` has written, in the order of their ids."""
        waiting: list[Row] | None = tx.info.get("outbox")
        if waiting is not None:
            waiting += rows
            return
        tx.info["outbox"] = offered = list(rows)

        def committed() -> None:
            failpoint("outbox.after_commit")
            self.offer(offered)

        after_commit(tx, committed)

    async def relay(self, bus: Bus, database: Database) -> None:
        """Publish until cancelled."""
        self._relay = Relay(self.table, bus, database)
        try:
            await self._relay.run()
        finally:
            self._relay = None
