"""Publishes what is in the outbox: at once in the normal case, by sweeping after anything else.

The order of a key holds within one process because only one of two ways is open at a time. While
nothing is behind, eight lanes publish what each commit hands them. As soon as anything was left
behind (a row the broker did not confirm, a lane that ran full, a row found by the sweeper, the time
before this process), the lanes stand still and the sweeper alone publishes, oldest first, until
nothing older is left than what the lanes hold.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal
from zlib import crc32

from seda_db import Database, DatabaseUnavailable
from seda_runtime.failpoints import failpoint
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import counter, histogram, reading
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from seda_messaging.bus import Bus
from seda_messaging.cancellation import still_wanted
from seda_messaging.errors import BusUnavailable, PublishRefused
from seda_messaging.outbox_rows import (
    Outcome,
    Row,
    claim,
    is_any_held,
    is_refused_one_due,
    oldest_seconds,
    settle,
)
from seda_messaging.partitions import roll_partitions

log = get_logger(__name__)
LANES = 8
LANE_ROWS_MAX = 1_000
BATCH_ROWS_MAX = 200
SWEEP_SECONDS = 1.0
OVERDUE_SECONDS = 2.0
"""A lane has had its chance with a row of this age."""
ROLL_SECONDS = 3_600.0
Path = Literal["eager", "sweeper"]

_oldest = reading(
    "seda_outbox_oldest_seconds", "s", "Age of the oldest event that waits to be published."
)
_published = counter("seda_outbox_published", "Events the broker confirmed, by eager or sweeper.")
_duplicates = counter("seda_outbox_duplicates", "Confirmed events that the broker had already.")
_unconfirmed = counter("seda_outbox_unconfirmed", "Attempts that the broker did not confirm.")
_refused = counter("seda_outbox_refused", "Attempts that the broker refused.")
_duration = histogram("seda_outbox_publish_duration_seconds", "From sending to confirmation.")


class _Lane:
    """A serial way out for a share of the keys."""

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.is_filled = asyncio.Event()
        self.at_work = asyncio.Lock()

    def put(self, row: Row) -> bool:
        """False when there is no room."""
        if len(self.rows) == LANE_ROWS_MAX:
            return False
        self.rows.append(row)
        self.is_filled.set()
        return True

    def take(self, rows_max: int) -> list[Row]:
        taken = [self.rows.popleft() for _ in range(min(rows_max, len(self.rows)))]
        if not self.rows:
            self.is_filled.clear()
        return taken


class Relay:
    """The outgoing side of one process. `offer` what was committed; `run` until cancelled."""

    def __init__(self, outbox: Table, bus: Bus, database: Database) -> None:
        self._outbox = outbox
        self._bus = bus
        self._database = database
        self._lanes = [_Lane() for _ in range(LANES)]
        self._caught_up = asyncio.Event()
        """The lanes may work. Not so at the start: who was here before may have left rows."""
        self._left_behind = 0
        """How often a row was; a sweep sees by it what happened while it was under way."""

    def offer(self, rows: Sequence[Row]) -> None:
        """Committed rows, in the order of their commits."""
        for row in rows:
            lane = self._lanes[crc32(row.ordering_key.encode()) % LANES]
            if not lane.put(row):
                self._fall_behind()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                tasks.create_task(self._run_lane(lane))
            tasks.create_task(self._run_sweeper())
            tasks.create_task(self._run_roller())

    def _fall_behind(self) -> None:
        self._left_behind += 1
        self._caught_up.clear()

    async def _run_lane(self, lane: _Lane) -> None:
        while still_wanted():
            await lane.is_filled.wait()
            while not self._caught_up.is_set():
                await self._caught_up.wait()
            async with lane.at_work:
                rows = lane.take(BATCH_ROWS_MAX)
                try:
                    await self._send(rows, "eager")
                except DatabaseUnavailable:
                    log.warning("outbox.mark_failed", rows=len(rows))

    async def _run_sweeper(self) -> None:
        while still_wanted():
            try:
                if await self._is_anything_overdue():
                    self._fall_behind()
                is_behind = not self._caught_up.is_set()
                goes_on = is_behind and self._bus.is_connected and await self._sweep()
            except DatabaseUnavailable:
                log.warning("outbox.sweep_failed")
                goes_on = False
            if not goes_on:
                await asyncio.sleep(SWEEP_SECONDS)

    async def _is_anything_overdue(self) -> bool:
        async with self._database.begin() as tx:
            seconds = await oldest_seconds(tx, self._outbox)
            _oldest.set(seconds)
            return seconds > OVERDUE_SECONDS or await is_refused_one_due(tx, self._outbox)

    async def _sweep(self) -> bool:
        """Publish the oldest rows; True when there is more to do at once."""
        for lane in self._lanes:
            async with lane.at_work:
                pass  # it finishes what it has begun, and rests until everything has caught up
        # What the lanes hold is committed, so the claim sees it. What they are given from here on
        # they keep, and it is all that is newer than the claim.
        left_behind = self._left_behind
        for lane in self._lanes:
            lane.take(LANE_ROWS_MAX)
        async with self._database.begin() as tx:
            rows = await claim(tx, self._outbox, BATCH_ROWS_MAX)
        if rows is None:
            return False
        outcome = await self._send(rows, "sweeper")
        if rows:
            log.info("outbox.swept", rows=len(outcome.published))
        async with self._database.begin() as tx:
            was_all = len(rows) < BATCH_ROWS_MAX and not await is_any_held(tx, self._outbox)
        if was_all and left_behind == self._left_behind:
            self._caught_up.set()
            return False
        return bool(outcome.published)

    async def _send(self, rows: Sequence[Row], path: Path) -> Outcome:
        """Publish, and write down what became of each row; also when broken off on the way."""
        outcome = Outcome()
        if not rows:
            return outcome
        try:
            await self._publish(rows, outcome)
        finally:
            _published.add(len(outcome.published), {"path": path})
            if outcome.unconfirmed:
                self._fall_behind()
            async with self._database.begin() as tx:
                await settle(tx, self._outbox, rows, outcome)
        return outcome

    async def _publish(self, rows: Sequence[Row], outcome: Outcome) -> None:
        """Keys beside each other; within a key each waits for the one before to be confirmed,
        because a reconnect may lose the first of two that are under way and deliver the second.
        """
        by_key: dict[str, list[Row]] = {}
        for row in rows:
            by_key.setdefault(row.ordering_key, []).append(row)
        async with asyncio.TaskGroup() as tasks:
            for group in by_key.values():
                tasks.create_task(self._publish_key(group, outcome))

    async def _publish_key(self, rows: Sequence[Row], outcome: Outcome) -> None:
        """In order, up to the first that is not confirmed; a refused one is passed over."""
        for row in rows:
            started = time.perf_counter()
            try:
                receipt = await self._bus.publish(row.subject, row.payload, row.headers)
            except PublishRefused as error:
                _refused.add(1)
                log.error("outbox.refused", subject=row.subject, error=str(error))
                outcome.refused[row.id] = str(error)
            except BusUnavailable as error:
                _unconfirmed.add(1)
                log.warning("outbox.publish_failed", subject=row.subject, error=str(error))
                outcome.unconfirmed[row.id] = str(error)
                return
            else:
                failpoint("outbox.after_publish")
                _duration.record(time.perf_counter() - started)
                _duplicates.add(int(receipt.is_duplicate))
                outcome.published.append(row.id)

    async def _run_roller(self) -> None:
        while still_wanted():
            try:
                await self._roll()
            except (DatabaseUnavailable, DBAPIError) as error:
                log.error("outbox.roll_failed", error=str(error)[:300])
            await asyncio.sleep(ROLL_SECONDS)

    async def _roll(self) -> None:
        async with self._database.begin() as tx:
            rolled = await roll_partitions(tx, str(self._outbox.schema))
        for part in rolled:
            match part.outcome:
                case "unpublished":
                    log.error("outbox.partition_kept", partition=part.partition)
                case "busy":
                    log.warning("outbox.partition_busy", partition=part.partition)
                case outcome:
                    log.info(f"outbox.partition_{outcome}", partition=part.partition)
