"""Times as people read them (`4 s`, `3 min`) and as they are told on a command line."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from seda_runtime.clock import read_moment, read_span

from seda_cli.failure import WrongUsage

T = TypeVar("T")


def span(text: str) -> timedelta:
    """Raises WrongUsage unless it reads like `90s`, `10m`, `2h` or `3d`."""
    return _told(lambda: read_span(text))


def moment(text: str, *, now: datetime) -> datetime:
    """That long ago, or a date with or without a time. Raises WrongUsage."""
    return _told(lambda: read_moment(text, now=now))


def _told(read: Callable[[], T]) -> T:
    try:
        return read()
    except ValueError as error:
        raise WrongUsage(str(error)) from None


def ago(seconds: float) -> str:
    """A length of time in its largest fitting unit."""
    for limit, size, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def clock_time(at: datetime, *, now: datetime) -> str:
    """UTC to the millisecond; the date as well when that is not today's."""
    utc = at.astimezone(UTC)
    today = utc.date() == now.astimezone(UTC).date()
    return utc.strftime("%H:%M:%S." if today else "%Y-%m-%d %H:%M:%S.") + f"{utc:%f}"[:3]
