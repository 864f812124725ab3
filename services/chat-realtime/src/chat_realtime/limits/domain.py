"""Rates, and who is over them. Pure: time is passed in.

The generic cell rate algorithm: of each key only the moment is kept at which its burst will be
whole again. What is refused costs nothing, so whoever waits as told is served.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass


class RateLimited(Exception):
    """Carries how long to wait, for `Retry-After` and `retry_ms`."""

    def __init__(self, wait_seconds: float) -> None:
        self.retry_ms = math.ceil(wait_seconds * 1000)

    @property
    def retry_after_seconds(self) -> int:
        return math.ceil(self.retry_ms / 1000)

    def __str__(self) -> str:
        return "Too much in too short a time."


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and after that so many a second."""

    per_second: float
    burst: int


class Meter:
    """One rate for many keys. Keys whose burst is whole take no memory for long."""

    __slots__ = ("_interval_seconds", "_keys_max", "_room_seconds", "_whole_at")

    def __init__(self, rate: Rate, *, keys_max: int = 100_000) -> None:
        self._interval_seconds = 1 / rate.per_second
        self._room_seconds = (rate.burst - 1) * self._interval_seconds
        self._keys_max = keys_max
        self._whole_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._whole_at)

    def wait_seconds(self, key: Hashable, *, now: float) -> float:
        """0 when one more is allowed now."""
        whole_at = self._whole_at.get(key, now)
        wait = whole_at - self._room_seconds - now
        # A nanosecond short is a rounding of sums and no wait.
        return wait if wait > 1e-9 else 0

    def count(self, key: Hashable, *, now: float) -> None:
        """Something was done that was allowed."""
        if len(self._whole_at) >= self._keys_max and key not in self._whole_at:
            self._forget(now)
        self._whole_at[key] = max(self._whole_at.get(key, now), now) + self._interval_seconds

    def _forget(self, now: float) -> None:
        """Those whose burst is whole; half of the rest when there is none, the oldest first."""
        self._whole_at = {key: at for key, at in self._whole_at.items() if at > now}
        surplus = len(self._whole_at) - self._keys_max // 2
        for key in list(self._whole_at)[: max(0, surplus)]:
            del self._whole_at[key]
