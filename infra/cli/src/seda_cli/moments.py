"""Times as people say them (`10m`, `2h`, an ISO date) and as they read them (`4 s`, `3 min`)."""

import re
from datetime import UTC, datetime, timedelta

from seda_cli.failure import WrongUsage

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})([smhd])")


def span(text: str) -> timedelta:
    """Raises WrongUsage unless it reads like `90s`, `10m`, `2h` or `3d`."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise WrongUsage(f"{text!r} is no span of time: write 90s, 10m, 2h or 3d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def moment(text: str, *, now: datetime) -> datetime:
    """That long ago, or a date with or without a time; UTC where no zone is said.

    Raises WrongUsage.
    """
    if _SPAN.fullmatch(text):
        return now - span(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"{text!r} is no time: write 10m, 2h or 2026-11-20T08:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
