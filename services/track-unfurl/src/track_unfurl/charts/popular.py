"""The ranking in memory: computed at most once per period, by one caller for all."""

from collections.abc import Callable

from seda_db import Database

from track_unfurl.charts import operations
from track_unfurl.charts.operations import ChartNow, Charts
from track_unfurl.tracks.flights import Flights

REFILL_SECONDS_MAX = 10.0


class ChartUnavailable(ConnectionError):
    """The ranking could not be computed in time and none is remembered."""


class PopularChart:
    """`monotonic` is the clock of the period, in seconds; tests bring their own."""

    def __init__(
        self,
        db: Database,
        charts: Charts,
        *,
        kept_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._db = db
        self._charts = charts
        self._kept_seconds = kept_seconds
        self._monotonic = monotonic
        self._flights: Flights[ChartNow] = Flights()
        self._kept: ChartNow | None = None
        self._kept_until = 0.0

    async def get(self) -> ChartNow:
        """Raises ChartUnavailable, or what the database raised, when nothing is remembered."""
        if self._kept is not None and self._monotonic() < self._kept_until:
            return self._kept
        refill = self._flights.start("refill", self._refill)
        filled = await self._flights.wait(refill, REFILL_SECONDS_MAX)
        if filled is None:
            raise ChartUnavailable
        return filled

    async def close(self) -> None:
        await self._flights.close()

    async def _refill(self) -> ChartNow:
        async with self._db.begin() as tx:
            self._kept = await operations.rank(tx, self._charts)
        self._kept_until = self._monotonic() + self._kept_seconds
        return self._kept
