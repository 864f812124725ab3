"""When a reading is good enough, how long it may be believed, and what replaces what."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Literal

from track_unfurl.metadata.reading import Merged, Reading, merge

Status = Literal[
    "pending", "ok", "partial", "not_found", "blocked", "busy", "unreachable", "refused"
]

UPLOAD_PROVIDERS = frozenset({"soundcloud", "bandcamp", "youtube", "generic"})
"""Anyone may upload and edit there, so what was read ages faster than a label's catalogue."""
TIMED_KINDS = frozenset({"track", "video", "episode"})
RETRY_AFTER_SECONDS_MAX = 3_600
NOT_FOUND_FRESH_MAX = timedelta(days=1)


NOTHING = Merged()


class TrackNotFound(Exception):
    """The provider says there is no such thing, or nobody has ever asked for it here."""


class LinkUnreachable(Exception):
    """A short link did not tell where it leads; it may the next time."""

    retry_after_seconds = 30


class RefusedUrl(Exception):
    """Our own guard will not ask this address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt to read an entry ended in."""

    status: Status
    merged: Merged = NOTHING
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long an answer is given without asking again, and how long it beats no answer."""

    fresh: timedelta
    stale: timedelta


def judge(readings: list[Reading], *, kind: str, unreachable: bool) -> Outcome:
    """A title makes it known; a wall or an absence counts only where nothing was found."""
    merged = merge(reading for reading in readings if reading.verdict == "found")
    verdicts = {reading.verdict for reading in readings}
    if merged.title:
        return Outcome(status="ok" if is_complete(merged, kind) else "partial", merged=merged)
    if "not_found" in verdicts:
        return Outcome(status="not_found")
    if "busy" in verdicts:
        return Outcome(status="busy")
    if "blocked" in verdicts:
        return Outcome(status="blocked")
    return Outcome(status="unreachable" if unreachable else "partial")


def is_complete(merged: Merged, kind: str) -> bool:
    """A song without its artist is a partial card; a playlist needs its name alone.

    A video needs no artist: its channel is not one, and guessing from its title would be a defect.
    """
    return bool(merged.title and (merged.artists or kind != "track"))


def knows_enough(merged: Merged, kind: str) -> bool:
    """Whether another source is worth asking."""
    return is_complete(merged, kind) and bool(merged.duration_ms or kind not in TIMED_KINDS)


def succeeding(known: Merged, outcome: Outcome, *, kind: str) -> Merged:
    """What is known after this outcome. A poorer answer never replaces a richer one."""
    if outcome.status == "ok":
        return outcome.merged
    if outcome.status != "partial" or is_complete(known, kind):
        return known
    newly = {name: value for name, value in _values(outcome.merged) if value}
    sources = dict(known.sources) | dict(outcome.merged.sources)
    return replace(known, **newly | {"sources": tuple(sources.items())})


def lifetime(outcome: Outcome, *, provider: str, failures: int, jitter: float) -> Lifetime:
    """The cache classes. `jitter` in 0..1 spreads what was stored together over a tenth more."""
    fresh, stale = _class_of(outcome, provider, failures)
    return Lifetime(fresh=fresh * (1 + 0.1 * jitter), stale=stale)


def _class_of(outcome: Outcome, provider: str, failures: int) -> tuple[timedelta, timedelta]:
    none = timedelta(0)
    match outcome.status:
        case "ok" if provider in UPLOAD_PROVIDERS:
            return timedelta(days=1), timedelta(days=7)
        case "ok":
            return timedelta(days=7), timedelta(days=30)
        case "partial":
            return timedelta(hours=1), timedelta(days=1)
        case "not_found":
            grown = timedelta(minutes=10) * 2 ** min(failures, 8)
            return min(grown, NOT_FOUND_FRESH_MAX), none
        case "blocked":
            return timedelta(minutes=10), none
        case "busy":
            seconds = min(max(outcome.retry_after_seconds or 30, 1), RETRY_AFTER_SECONDS_MAX)
            return timedelta(seconds=seconds), none
        case "unreachable":
            return timedelta(seconds=30), none
    # What the guard refused depends on what a name means at this moment: never remembered.
    return none, none


def _values(merged: Merged) -> list[tuple[str, Any]]:
    return [(field.name, getattr(merged, field.name)) for field in fields(merged)]
