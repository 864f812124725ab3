"""A moment on a command line is an age or a time; what is neither says how to write one."""

from datetime import UTC, datetime, timedelta

import pytest
from seda_runtime.clock import read_moment, read_span

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before_noon"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("2026-01-01T13:00:00+02:00", timedelta(hours=1)),
        ("2026-01-01T12:00:00Z", timedelta(0)),
        ("2026-01-01T11:30", timedelta(minutes=30)),
        ("2026-01-01", timedelta(hours=12)),
    ],
)
def test_an_age_or_a_time_is_a_moment(text: str, before_noon: timedelta) -> None:
    assert read_moment(text, now=NOON) == NOON - before_noon


@pytest.mark.parametrize("text", ["", "noon", "2", "h", "-2h", "2w", "1.5h", "2026-13-01"])
def test_anything_else_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write 30m"):
        read_moment(text, now=NOON)
    with pytest.raises(ValueError, match="write 90s"):
        read_span(text)
