"""Events leave through the same transaction that made them true.

`add` writes the row; the commit hands it to the eager publisher, which is quick; the sweeper finds
whatever the eager one missed (a crash between commit and publish, a broker that was away). A row
is published at least once, with its id as the broker's duplicate key.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_db import Database, DatabaseUnavailable
from seda_runtime.clock import Clock, utc_now
from seda_runtime.ids import uuid7
from seda_runtime.logging import get_logger
from sqlalchemy import MetaData, event, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from seda_messaging.bus import Bus
from seda_messaging.cancellation import still_wanted
from seda_messaging.errors import BusUnavailable

log = get_logger(__name__)
_propagator = TraceContextTextMapPropagator()
LANES = 8
LANE_ROWS_MAX = 1_000
SWEEP_SECONDS = 1.0
SWEEP_ROWS_MAX = 200
SWEEP_AGE = timedelta(seconds=2)
LEASE = timedelta(seconds=30)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way out."""

    id: int
    subject: str
    ordering_key: str
    headers: dict[str, str]
    payload: bytes


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
        self._service = service
        self._now = now
        self._lanes: list[asyncio.Queue[Row]] = []

    async def add(self, tx: AsyncSession, contract: Contract) -> UUID:
        """Write the event beside the change it tells of. Returns the event id.

        Raises UnsafeSubjectKeyError for a key that could alter the subject.
        """
        event_id, headers = self.prepare(contract)
        subject, key, payload = contract.subject(), contract.key(), contract.encode()
        statement = (
            insert(self.table)
            .values(
                event_id=event_id,
                subject=subject,
                ordering_key=key,
                headers=headers,
                payload=payload,
            )
            .returning(self.table.c.id)
        )
        row_id = (await tx.execute(statement)).scalar_one()
        row = Row(id=row_id, subject=subject, ordering_key=key, headers=headers, payload=payload)
        self._after_commit(tx, row)
        return event_id

    def prepare(self, contract: Contract) -> tuple[UUID, dict[str, str]]:
        """Id and headers for a row that a hand-written statement inserts."""
        event_id = uuid7()
        headers = headers_of(contract, event_id=event_id, service=self._service, at=self._now())
        _propagator.inject(headers, context=trace.set_span_in_context(trace.get_current_span()))
        return event_id, headers

    def offer(self, rows: Sequence[Row]) -> None:
        """Committed rows: publish them now if there is room, else leave them to the sweeper."""
        if not self._lanes:
            return
        for row in rows:
            lane = self._lanes[crc32(row.ordering_key.encode()) % LANES]
            if not lane.full():
                lane.put_nowait(row)

    def _after_commit(self, tx: AsyncSession, row: Row) -> None:
        waiting: list[Row] | None = tx.info.get("outbox")
        if waiting is not None:
            waiting.append(row)
            return
        tx.info["outbox"] = rows = [row]

        def committed(_: Any) -> None:
            self.offer(rows)

        event.listen(tx.sync_session, "after_commit", committed, once=True)

    async def relay(self, bus: Bus, database: Database) -> None:
        """Publish until cancelled. Lanes keep the order of a key among eager rows."""
        self._lanes = [asyncio.Queue(LANE_ROWS_MAX) for _ in range(LANES)]
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(self._run_lane(lane, bus, database))
                tasks.create_task(self._run_sweeper(bus, database))
        finally:
            self._lanes = []

    async def _run_lane(self, lane: asyncio.Queue[Row], bus: Bus, database: Database) -> None:
        while still_wanted():
            rows = [await lane.get()]
            while len(rows) < 100 and not lane.empty():
                rows.append(lane.get_nowait())
            published = await self._publish(bus, rows)
            try:
                await self._mark(database, published)
            except DatabaseUnavailable:
                log.warning("outbox.mark_failed", rows=len(published))

    async def _publish(self, bus: Bus, rows: Sequence[Row]) -> list[int]:
        """Ids of the rows the broker confirmed, in order, up to the first it did not."""
        published: list[int] = []
        for row in rows:
            try:
                await bus.publish(row.subject, row.payload, row.headers)
            except BusUnavailable as error:
                log.warning("outbox.publish_failed", subject=row.subject, error=str(error))
                break
            published.append(row.id)
        return published

    async def _mark(self, database: Database, ids: Sequence[int]) -> None:
        if not ids:
            return
        async with database.begin() as tx:
            await tx.execute(
                update(self.table)
                .where(self.table.c.id.in_(ids))
                .values(published_at=self._now(), claimed_until=None)
            )

    async def _run_sweeper(self, bus: Bus, database: Database) -> None:
        while still_wanted():
            await asyncio.sleep(SWEEP_SECONDS)
            if not bus.is_connected:
                continue
            try:
                rows = await self._claim(database)
                published = await self._publish(bus, rows)
                await self._mark(database, published)
                await self._release(database, [r.id for r in rows if r.id not in set(published)])
            except DatabaseUnavailable:
                log.warning("outbox.sweep_failed")
                continue
            if published:
                log.info("outbox.swept", rows=len(published))

    async def _claim(self, database: Database) -> list[Row]:
        """Lease the oldest unpublished rows; nobody holds a transaction open while publishing."""
        outbox = self.table
        moment = self._now()
        claimable = (
            select(outbox.c.id)
            .where(outbox.c.published_at.is_(None))
            .where(outbox.c.created_at < moment - SWEEP_AGE)
            .where((outbox.c.claimed_until.is_(None)) | (outbox.c.claimed_until < moment))
            .order_by(outbox.c.id)
            .limit(SWEEP_ROWS_MAX)
            .with_for_update(skip_locked=True)
        )
        async with database.begin() as tx:
            ids = list((await tx.execute(claimable)).scalars())
            if not ids:
                return []
            claimed = (
                update(outbox)
                .where(outbox.c.id.in_(ids))
                .values(claimed_until=moment + LEASE, attempts=outbox.c.attempts + 1)
                .returning(
                    outbox.c.id,
                    outbox.c.subject,
                    outbox.c.ordering_key,
                    outbox.c.headers,
                    outbox.c.payload,
                )
            )
            found = (await tx.execute(claimed)).mappings().all()
        return sorted((Row(**row) for row in found), key=lambda row: row.id)

    async def _release(self, database: Database, ids: Sequence[int]) -> None:
        if not ids:
            return
        async with database.begin() as tx:
            await tx.execute(
                update(self.table).where(self.table.c.id.in_(ids)).values(claimed_until=None)
            )
