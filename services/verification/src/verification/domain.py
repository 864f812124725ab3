"""Rules of a claim: its code, its states, its limits, and what a fetched page proves.

Pure: the time, the code's symbols and the page's report are given. The code is published on a
public page, so secrecy protects nothing. What protects is the binding (person, artist and page are
fixed when the code is drawn), the place it stands in, freshness, and the limits.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import unquote
from uuid import UUID

from verification.targets import Target, stays_on

Status = Literal[
    "issued", "checking", "found", "approved", "denied", "expired", "cancelled", "conflict"
]
Reason = Literal[
    "found", "not_found", "wrong_place", "reflected", "redirected_off_origin", "blocked",
    "unreachable",
]  # fmt: skip
Place = Literal["visible_text", "visitor_text", "meta_tag", "link", "hidden"]

MOVES: dict[Status, frozenset[Status]] = {
    "issued": frozenset({"checking", "expired", "cancelled", "approved", "denied", "conflict"}),
    "checking": frozenset({"issued", "found", "expired", "cancelled"}),
    "found": frozenset({"approved", "denied", "conflict", "cancelled"}),
    "approved": frozenset(),
    "denied": frozenset(),
    "expired": frozenset(),
    "cancelled": frozenset(),
    "conflict": frozenset(),
}
"""Every change a claim can make. What has no way out is final."""

LIVE: frozenset[Status] = frozenset({"issued", "checking", "found"})
PERISHABLE: frozenset[Status] = frozenset({"issued", "checking"})
"""The code runs out in these. A claim that was found waits for a person as long as it takes."""
DECIDABLE: frozenset[Status] = frozenset({"issued", "found"})

CODE_SYMBOLS = "23456789CFGHJMPQRVWX"
"""No vowels, so no words; no lookalikes. The set of Open Location Codes: 4.3 bits a symbol."""
CODE_GROUP_SYMBOLS = 4
CODE_PREFIX = "seda-"

PAGE_DEFAULT = 20
PAGE_MAX = 100
REASON_CHARACTERS_MIN = 3
REASON_CHARACTERS_MAX = 500

WINDOW = timedelta(hours=24)
"""Daily limits look back this far from now; there is no midnight to wait for."""
CHECK_WAIT_MAX = timedelta(minutes=15)
"""Longer than the crawler may retry; after it a check that brought no answer is given up."""


class ClaimNotFound(Exception):
    """No such claim, or somebody else's."""


class ArtistNotFound(Exception):
    """No such artist, or somebody else's."""


class ArtistAlreadyVerified(Exception):
    """The artist carries the badge; there is nothing left to prove."""


class TooManyOpenClaims(Exception):
    """Decide, cancel or let run out one of the open claims first."""


class ClaimNotOpen(Exception):
    """The claim has moved on; what was asked does not fit its state."""


class ClaimExpired(Exception):
    """The code has run out."""


class CursorRefused(Exception):
    """The cursor was not made by this list."""


class ReasonRefused(Exception):
    """A decision needs words another admin can read."""


class SelfDecision(Exception):
    """Nobody decides a claim of their own."""


class LimitReached(Exception):
    """A daily limit; `retry_after_seconds` tells when its next place is free."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.retry_after_seconds = max(1, int(wait.total_seconds()) + 1)


class ClaimLimitReached(LimitReached):
    """This person had all the codes of the last 24 hours."""


class CheckLimitReached(LimitReached):
    """This claim had all its checks of the last 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one person and one claim may use."""

    code_symbols: int = 8
    code_lifetime: timedelta = timedelta(days=7)
    claims_per_day_max: int = 3
    open_claims_max: int = 5
    checks_per_day_max: int = 10
    check_starts_per_day_max: int = 30
    """Inconclusive checks cost no attempt, and still may not be asked for without end."""
    automatic_approval: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A claim code as the crawler saw it, and where."""

    code: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """What the crawler says of one fetch of the target."""

    url: str
    final_url: str
    redirect_urls: Sequence[str]
    outcome: str
    status_code: int | None
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the page proves. An inconclusive verdict costs no attempt."""

    reason: Reason
    conclusive: bool
    place: Place | None = None

    @property
    def found(self) -> bool:
        return self.reason == "found"


def draw_code(symbols: int, choose: Callable[[str], str]) -> str:
    """A fresh code as it is shown. `choose` is `secrets.choice`, except in tests."""
    drawn = "".join(choose(CODE_SYMBOLS) for _ in range(symbols))
    groups = [drawn[i : i + CODE_GROUP_SYMBOLS] for i in range(0, symbols, CODE_GROUP_SYMBOLS)]
    return CODE_PREFIX + "-".join(groups)


def code_digest(code: str) -> bytes:
    """SHA-256 of the code's symbols; how it was typed (case, dashes) does not matter."""
    return hashlib.sha256(_symbols(code).encode()).digest()


def wait_for_place(times: Sequence[datetime], *, places: int, now: datetime) -> timedelta | None:
    """How long until a rolling window has a place again; None when it has one now.

    What happened exactly one window ago no longer counts.
    """
    recent = sorted(time for time in times if time > now - WINDOW)
    if len(recent) < places:
        return None
    return recent[len(recent) - places] + WINDOW - now


def is_overdue(status: Status, expires_at: datetime, now: datetime) -> bool:
    """True from the very moment of expiry, whether or not the sweep has been by."""
    return status in PERISHABLE and now >= expires_at


def status_at(status: Status, expires_at: datetime, now: datetime) -> Status:
    """The status as it is at this moment, written down already or not."""
    return "expired" if is_overdue(status, expires_at, now) else status


def checked_reason(text: str) -> str:
    """The words of a decision. Raises ReasonRefused."""
    reason = text.strip()
    if not REASON_CHARACTERS_MIN <= len(reason) <= REASON_CHARACTERS_MAX:
        raise ReasonRefused
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in reason if c != "\n"):
        raise ReasonRefused
    return reason


def page_position(cursor: str | None) -> UUID | None:
    """Where a list goes on: the id of the last request seen. Raises CursorRefused.

    An id of somebody else's request is only a moment in time here; it opens nothing.
    """
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError as error:
        raise CursorRefused from error


def judge(report: PageReport, *, target: Target, digest: bytes) -> Verdict:
    """What one fetched page proves about the claim with this code on this target."""
    failure = _fetch_failure(report)
    if failure is not None:
        return failure
    hops = (*report.redirect_urls, report.final_url)
    if not all(stays_on(target, hop) for hop in hops):
        return Verdict(reason="redirected_off_origin", conclusive=True)
    ours = [m for m in report.marks if hmac.compare_digest(code_digest(m.code), digest)]
    if not ours:
        return Verdict(reason="not_found", conclusive=True)
    if any(_holds_code(url, ours[0].code) for url in (target.url, report.url, *hops)):
        # A page that repeats its own address (search, 404) would "contain" any code.
        return Verdict(reason="reflected", conclusive=True)
    shown: tuple[Place, ...] = ("visible_text", "meta_tag", "link")
    for place in shown:
        if any(mark.place == place for mark in ours):
            return Verdict(reason="found", conclusive=True, place=place)
    # Hidden, or in a comment section, where anybody could have put it.
    return Verdict(reason="wrong_place", conclusive=True, place=ours[0].place)


def _fetch_failure(report: PageReport) -> Verdict | None:
    """The verdict when there is no page to look at."""
    match report.outcome:
        case "blocked" | "robots_denied":
            return Verdict(reason="blocked", conclusive=False)
        case "unreachable":
            return Verdict(reason="unreachable", conclusive=False)
        case "refused":
            # Our own guard said no, and will say so again: asking costs an attempt.
            return Verdict(reason="unreachable", conclusive=True)
        case "ok" if report.status_code == 200:
            return None
        case "ok" if report.status_code in {401, 403, 429}:
            return Verdict(reason="blocked", conclusive=False)
        case "ok" if report.status_code is None or report.status_code >= 500:
            return Verdict(reason="unreachable", conclusive=False)
        case _:
            return Verdict(reason="not_found", conclusive=True)


def _symbols(code: str) -> str:
    return code.upper().removeprefix(CODE_PREFIX.upper()).replace("-", "")


def _holds_code(url: str, code: str) -> bool:
    """True when the address spells the code, however it is escaped or broken up."""
    spelled = unquote(unquote(unquote(url))).upper()
    return _symbols(code) in "".join(c for c in spelled if c.isascii() and c.isalnum())
