"""Judgement, freshness and patience."""

from datetime import UTC, datetime, timedelta

import pytest
from crawler.domain import (
    FRESH_DEFAULT,
    FRESH_MAX,
    FRESH_MIN,
    NOT_FOUND_FRESH,
    fresh_for,
    judge,
    retry_after,
    retry_delay_seconds,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HTML = {"content-type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("status", "outcome", "retryable"),
    [
        (200, "ok", False),
        (204, "ok", False),
        (301, "unsupported", False),
        (401, "blocked", False),
        (403, "blocked", False),
        (404, "not_found", False),
        (410, "not_found", False),
        (408, "unreachable", True),
        (429, "blocked", True),
        (451, "blocked", False),
        (500, "unreachable", True),
        (501, "unreachable", True),
        (503, "unreachable", True),
    ],
)
def test_a_status_has_one_meaning(status: int, outcome: str, retryable: bool) -> None:
    judgement = judge(status, HTML, "", now=NOON)
    assert (judgement.outcome, judgement.retryable) == (outcome, retryable)


@pytest.mark.parametrize(
    "title", ["Client Challenge", "Just a moment...", "Attention Required! | X", "Access denied"]
)
def test_a_challenge_in_place_of_the_page_is_blocked(title: str) -> None:
    page = f"<html><head><title>{title}</title>"
    assert judge(200, HTML, page, now=NOON).outcome == "blocked"


def test_a_song_about_a_challenge_is_not_blocked() -> None:
    assert judge(200, HTML, "<title>My Client Challenge</title>", now=NOON).outcome == "ok"


def test_a_picture_is_unsupported() -> None:
    assert judge(200, {"content-type": "image/png"}, "", now=NOON).outcome == "unsupported"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        ("0", 0.0),
        ("99999999999999999999999", 60.0),
        ("-5", None),
        ("soon", None),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2099 12:00:00 GMT", 60.0),
        ("", None),
    ],
)
def test_retry_after_is_read_and_capped(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=NOON) == seconds


def test_the_wait_doubles_is_jittered_and_never_undercuts_the_site() -> None:
    assert [retry_delay_seconds(n, None, jitter=1.0) for n in (1, 2, 3, 9)] == [1, 2, 4, 30]
    assert retry_delay_seconds(3, None, jitter=0.25) == 1
    assert retry_delay_seconds(1, 20.0, jitter=1.0) == 20


@pytest.mark.parametrize(
    ("status", "cache_control", "fresh"),
    [
        (200, "", FRESH_DEFAULT),
        (200, "max-age=600", timedelta(minutes=10)),
        (200, "public, max-age=0", FRESH_MIN),
        (200, "max-age=999999999", FRESH_MAX),
        (200, "no-store", None),
        (200, "private, max-age=600", None),
        (404, "", NOT_FOUND_FRESH),
        (500, "", None),
    ],
)
def test_freshness_is_the_sites_within_our_bounds(
    status: int, cache_control: str, fresh: timedelta | None
) -> None:
    assert fresh_for(status, {"cache-control": cache_control}) == fresh
