"""What an answer amounts to, how long it stays true, and when to ask again. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

Outcome = Literal[
    "ok",
    "not_found",
    "blocked",
    "robots_denied",
    "refused",
    "unreachable",
    "too_large",
    "unsupported",
]

FRESH_DEFAULT = timedelta(hours=1)
FRESH_MIN = timedelta(minutes=1)
FRESH_MAX = timedelta(hours=24)
NOT_FOUND_FRESH = timedelta(minutes=10)
RETRY_BASE_SECONDS = 1.0
RETRY_SECONDS_MAX = 30.0
RETRY_AFTER_SECONDS_MAX = 60.0
TITLE_SEARCH_CHARACTERS = 65_536

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
GONE_STATUSES = frozenset({404, 410})
READABLE_TYPES = frozenset({"", "text/html", "application/xhtml+xml", "text/plain"})
HTML_TYPES = frozenset({"", "text/html", "application/xhtml+xml"})

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,300})", re.I)
_INTERSTITIAL_TITLE = re.compile(
    r"^\s{0,20}(client challenge|just a moment|attention required|access denied|"
    r"pardon our interruption|are you a (?:robot|human)|checking your browser|ddos-guard|"
    r"security check|verify(?:ing)? you are (?:a )?human|before you continue)",
    re.I,
)
_MAX_AGE = re.compile(r"(?:^|[,\s])(?:s-)?max-?age\s{0,4}=\s{0,4}\"?(\d{1,9})", re.I)


class PageNotCached(Exception):
    """The cache holds no page under this address."""


class AddressRefused(Exception):
    """The address may not be asked for; `code` of the guard says why."""


class CursorRefused(Exception):
    """The cursor was not made by this list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An outcome, whether another attempt may change it, and how long the site wants us to wait."""

    outcome: Outcome
    retryable: bool = False
    retry_after_seconds: float | None = None


def judge(status_code: int, headers: Mapping[str, str], text: str, *, now: datetime) -> Judgement:
    """What an HTTP answer amounts to. A page that only says "prove you are human" is `blocked`."""
    if status_code in RETRYABLE_STATUSES:
        return Judgement(
            outcome="blocked" if status_code == 429 else "unreachable",
            retryable=True,
            retry_after_seconds=retry_after(headers.get("retry-after"), now=now),
        )
    if status_code in GONE_STATUSES:
        return Judgement(outcome="not_found")
    if status_code >= 500:
        return Judgement(outcome="unreachable", retryable=True)
    if status_code >= 400 or is_interstitial(text):
        return Judgement(outcome="blocked")
    # A redirect that leads nowhere is as little a page as a picture is.
    if status_code >= 300 or media_type(headers) not in READABLE_TYPES:
        return Judgement(outcome="unsupported")
    return Judgement(outcome="ok")


def media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_interstitial(text: str) -> bool:
    """A challenge or consent page in place of the page that was asked for."""
    title = _TITLE.search(text[:TITLE_SEARCH_CHARACTERS])
    return title is not None and _INTERSTITIAL_TITLE.match(title[1]) is not None


def retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds from a Retry-After of either form, between 0 and RETRY_AFTER_SECONDS_MAX."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:10]), RETRY_AFTER_SECONDS_MAX))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), RETRY_AFTER_SECONDS_MAX)


def retry_delay_seconds(attempt: int, asked_seconds: float | None, *, jitter: float) -> float:
    """Full jitter over a doubling window; `jitter` is drawn from 0 to 1.

    What the site asked for is a floor, never a shortcut.
    """
    window = min(RETRY_SECONDS_MAX, RETRY_BASE_SECONDS * 2.0 ** (attempt - 1))
    return max(asked_seconds or 0.0, window * jitter)


def fresh_for(status_code: int, headers: Mapping[str, str]) -> timedelta | None:
    """How long an answer may be given again without asking; None keeps it out of the cache."""
    cache_control = headers.get("cache-control", "").lower()
    if "no-store" in cache_control or "private" in cache_control:
        return None
    if status_code in GONE_STATUSES:
        return NOT_FOUND_FRESH
    if not 200 <= status_code < 300:
        return None
    stated = _MAX_AGE.search(cache_control)
    if stated is None:
        return FRESH_DEFAULT
    return min(max(timedelta(seconds=int(stated[1])), FRESH_MIN), FRESH_MAX)
