"""The ranking is computed once per period for everybody."""

import asyncio

from seda_db import Database
from track_unfurl.charts.operations import Charts
from track_unfurl.charts.popular import PopularChart


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_parallel_readers_share_one_refill_and_later_ones_the_copy(
    db: Database, charts: Charts
) -> None:
    seconds = Seconds()
    popular = PopularChart(db, charts, kept_seconds=300, monotonic=seconds)
    first = await asyncio.gather(*(popular.get() for _ in range(50)))
    assert all(chart is first[0] for chart in first)
    seconds.now += 299
    assert await popular.get() is first[0]
    seconds.now += 1
    assert await popular.get() is not first[0]
    await popular.close()
