"""The work a crawler takes and what came of it. Owner: crawler."""

from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from seda_contracts.base import Command, Event, Timestamp

FetchOutcome = Literal[
    "ok",
    "not_found",
    "blocked",
    "robots_denied",
    "refused",
    "unreachable",
    "too_large",
    "unsupported",
]
"""`refused`: our own guard said no (private address, scheme). `blocked`: the site said no."""

CLAIM_CODE = r"seda(?:-[23456789CFGHJMPQRVWX]{4}){2,4}"
"""How a claim code is written, as a pattern: verification draws such codes, the crawler finds them.

Two groups unless an operator asks for longer codes. Case does not matter on a page.
"""

MarkPlace = Literal["visible_text", "visitor_text", "meta_tag", "link", "hidden"]
"""`visitor_text` is visible, but in a section where others than the owner write (comments)."""


class CrawlFetch(Command, frozen=True, kw_only=True):
    """Fetch one page and report it. The key is the host, so one host is asked one at a time."""

    TYPE: ClassVar[str] = "crawl.fetch.v1"
    KEY: ClassVar[str] = "host_key"

    job_id: UUID
    host_key: str
    """`host_key(url)` of this module: the host with dots replaced, safe as a subject token."""
    url: str
    requested_by: Literal["verification", "track-unfurl", "admin"]
    bypass_cache: bool = False
    find_claim_codes: bool = False
    """Report every `seda-XXXX-XXXX` on the page and where it stands."""


class ClaimCodeMark(msgspec.Struct, frozen=True, kw_only=True):
    """A claim code as it stands on a public page."""

    code: str
    place: MarkPlace


class CrawlPageFetched(Event, frozen=True, kw_only=True):
    """The page was asked for; `outcome` says what came. Bodies never travel."""

    TYPE: ClassVar[str] = "crawl.page.fetched.v1"
    KEY: ClassVar[str] = "job_id"

    job_id: UUID
    url: str
    final_url: str
    redirect_urls: list[str]
    outcome: FetchOutcome
    status_code: int | None = None
    content_sha256: str | None = None
    marks: list[ClaimCodeMark] = []
    fetched_at: Timestamp


class CrawlJobFailed(Event, frozen=True, kw_only=True):
    """Every retry is used up; nothing conclusive is known about the page."""

    TYPE: ClassVar[str] = "crawl.job.failed.v1"
    KEY: ClassVar[str] = "job_id"

    job_id: UUID
    url: str
    outcome: FetchOutcome
    attempts: int
    failed_at: Timestamp


def host_key(host: str) -> str:
    """The host as one subject token: `tunes.example` becomes `tunes_example`."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in host.lower())[:200] or "_"
