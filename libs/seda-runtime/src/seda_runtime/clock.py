"""The clock that operations are given (tests give another), and times as people say them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})([smhd])")


def utc_now() -> datetime:
    return datetime.now(UTC)


def read_span(text: str) -> timedelta:
    """`90s`, `10m`, `2h` or `3d`. Raises ValueError saying so."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no span of time; write 90s, 10m, 2h or 3d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def read_moment(text: str, *, now: datetime) -> datetime:
    """That long before `now`, or a moment of ISO 8601, in UTC where no zone is said.

    Raises ValueError saying how to write one.
    """
    if _SPAN.fullmatch(text):
        return now - read_span(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; write 30m, 2h, 3d or 2026-01-31T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
