"""What repeated measurements say: middle, tail, spread, and one system beside another."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of some rounds, with the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ratios(values: Sequence[float], floors: Sequence[float]) -> Spread:
    """How often each round's floor fits into its value. Rounds that belong together are paired, so
    a machine that was slow for a moment was slow for both."""
    return Spread.of([value / floor for value, floor in zip(values, floors, strict=True)])
