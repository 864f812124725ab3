"""A job from the address to the record: policy, cache, robots, turn, fetch, judgement, event.

No transaction is open while the network is used: `crawl` opens short ones of its own around each
look at the database, and `finish` writes everything at the end in the caller's.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from seda_contracts.events.crawl import (
    ClaimCodeMark,
    CrawlFetch,
    CrawlJobFailed,
    CrawlPageFetched,
    host_key,
)
from seda_db import Database
from seda_fetch import (
    Fetched,
    Fetcher,
    FetchError,
    Refused,
    TargetUrl,
    TooLarge,
    TooManyRedirects,
    parse_url,
)
from seda_messaging import Outbox
from seda_runtime.clock import Clock
from seda_runtime.ids import uuid7
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import counter, span
from sqlalchemy.ext.asyncio import AsyncSession

from crawler import domain, robots, store
from crawler.claim_codes import Mark, find_claim_codes
from crawler.domain import AddressRefused, Outcome, PageNotCached
from crawler.politeness import HostTurns, Rest
from crawler.tables import HostRobotsRow, JobRow, PageRow

log = get_logger(__name__)
jobs_finished = counter("crawler_jobs_finished", "Jobs by outcome.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawling:
    """The collaborators and limits of this module. Built once in `app.py`."""

    db: Database
    fetcher: Fetcher
    outbox: Outbox
    turns: HostTurns
    now: Clock
    product: str
    retries_max: int
    retry_budget_seconds: float
    host_interval_seconds: float
    rest: Rest = asyncio.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a job. `retryable` means that nothing conclusive is known."""

    outcome: Outcome
    url: str
    final_url: str
    reason: str | None = None
    retryable: bool = False
    retry_after_seconds: float | None = None
    redirect_urls: tuple[str, ...] = ()
    status_code: int | None = None
    dialled_address: str | None = None
    body_bytes: int = 0
    content_sha256: str | None = None
    marks: tuple[Mark, ...] = ()
    from_cache: bool = False
    page: PageRow | None = None
    """To be kept in the cache."""
    attempts: int = 0


async def is_finished(tx: AsyncSession, job_id: UUID) -> bool:
    job = await store.job_by_id(tx, job_id)
    return job is not None and job.outcome is not None


async def crawl(crawling: Crawling, command: CrawlFetch) -> Report:
    """Fetch the page as often as the retry rules allow. Never raises for what a site does."""
    try:
        target = parse_url(command.url)
    except Refused as error:
        url = _storable(command.url)
        return Report(outcome="refused", reason=error.code, url=url, final_url=url)
    cached: PageRow | None = None
    if not command.bypass_cache:
        async with crawling.db.read() as tx:
            cached = await store.page_by_url(tx, target.href)
        if cached is not None and cached.expires_at > crawling.now():
            return await _report_of_page(cached, command)
    waited_seconds = 0.0
    attempt = 1
    while True:
        report = await _attempt(crawling, command, target, cached)
        if not report.retryable or attempt > crawling.retries_max:
            return replace(report, attempts=attempt)
        delay_seconds = domain.retry_delay_seconds(
            attempt, report.retry_after_seconds, jitter=crawling.jitter()
        )
        waited_seconds += delay_seconds
        if waited_seconds > crawling.retry_budget_seconds:
            return replace(report, attempts=attempt)
        attempt += 1
        await crawling.rest(delay_seconds)


async def finish(tx: AsyncSession, crawling: Crawling, command: CrawlFetch, report: Report) -> None:
    """Write record, cache and event. A job that was finished before stays as it was."""
    now = crawling.now()
    job = JobRow(
        id=command.job_id,
        url=_storable(command.url),
        requested_by=command.requested_by,
        requested_at=now,
        outcome=report.outcome,
        reason=report.reason,
        attempts=report.attempts,
        final_url=report.final_url,
        dialled_address=report.dialled_address,
        status_code=report.status_code,
        body_bytes=report.body_bytes,
        content_sha256=report.content_sha256,
        from_cache=report.from_cache,
        finished_at=now,
    )
    if not await store.finish_job(tx, job):
        return
    if report.page is not None:
        await store.put_page(tx, report.page)
    jobs_finished.add(1, {"outcome": report.outcome})
    log.info(
        "crawl.finished",
        job_id=str(command.job_id),
        host=command.host_key,
        outcome=report.outcome,
        reason=report.reason,
        attempts=report.attempts,
    )
    await crawling.outbox.add(tx, _event(crawling, command, report))


async def request_job(tx: AsyncSession, crawling: Crawling, *, url: str) -> JobRow:
    """An admin's own job: recorded now, taken by the same consumer as every other."""
    try:
        target = parse_url(url)
    except Refused as error:
        raise AddressRefused(error.code) from error
    job = JobRow(
        id=uuid7(), url=target.href, requested_by="admin", requested_at=crawling.now(), attempts=0
    )
    await store.add_job(tx, job)
    await crawling.outbox.add(
        tx,
        CrawlFetch(
            job_id=job.id,
            host_key=host_key(target.host),
            url=target.href,
            requested_by="admin",
            bypass_cache=True,
        ),
    )
    return job


async def forget_page(tx: AsyncSession, *, url: str) -> None:
    """Raises AddressRefused or PageNotCached."""
    try:
        target = parse_url(url)
    except Refused as error:
        raise AddressRefused(error.code) from error
    if not await store.delete_page(tx, target.href):
        raise PageNotCached


async def _attempt(
    crawling: Crawling, command: CrawlFetch, target: TargetUrl, cached: PageRow | None
) -> Report:
    nothing = Report(outcome="unreachable", url=target.href, final_url=target.href)
    permission = await _permission(crawling, target)
    if not permission.known:
        return replace(nothing, reason="robots_unreachable", retryable=True)
    if not permission.allowed:
        return replace(nothing, outcome="robots_denied")
    interval_seconds = max(crawling.host_interval_seconds, permission.crawl_delay_seconds)
    try:
        async with crawling.turns.turn(target.host, interval_seconds=interval_seconds):
            with span("crawl.fetch"):
                fetched = await crawling.fetcher.get(
                    target,
                    accept="text/html,application/xhtml+xml,text/plain;q=0.8",
                    headers=_validators(cached) if cached else {"cache-control": "no-cache"},
                    truncate=True,
                )
    except FetchError as error:
        return _report_of_failure(nothing, error)
    if fetched.status_code == 304 and cached is not None:
        refreshed = _refreshed(crawling, cached, fetched)
        return replace(await _report_of_page(refreshed, command), page=refreshed)
    return await _report_of_answer(crawling, command, fetched)


async def _permission(crawling: Crawling, target: TargetUrl) -> robots.Permission:
    """From the rules we hold, or those the host gives us now."""
    async with crawling.db.read() as tx:
        row = await store.robots_of(tx, target.origin)
    if row is None or row.expires_at <= crawling.now():
        row = await _fetch_robots(crawling, target)
        async with crawling.db.begin() as tx:
            await store.put_robots(tx, row)
    # A rule book of 500 KiB takes long enough to parse to be felt by everyone on the loop.
    return await asyncio.to_thread(
        robots.permission, row.status, row.body, target.href, crawling.product
    )


async def _fetch_robots(crawling: Crawling, target: TargetUrl) -> HostRobotsRow:
    body = ""
    try:
        interval_seconds = crawling.host_interval_seconds
        async with crawling.turns.turn(target.host, interval_seconds=interval_seconds):
            fetched = await crawling.fetcher.get(
                f"{target.origin}/robots.txt", accept="text/plain,*/*;q=0.5", truncate=True
            )
        status = robots.status_of(fetched.status_code)
        if status == "found":
            body = _storable(fetched.body[: robots.BODY_BYTES_MAX].decode("utf-8", "replace"))
    except TooManyRedirects:
        status = "absent"  # RFC 9309 2.3.1.2
    except FetchError:
        status = "unreachable"
    now = crawling.now()
    # An outage is not remembered: the next attempt of the job asks again.
    fresh = timedelta(0) if status == "unreachable" else robots.FRESH
    return HostRobotsRow(
        origin=target.origin, status=status, body=body, fetched_at=now, expires_at=now + fresh
    )


async def _report_of_answer(crawling: Crawling, command: CrawlFetch, fetched: Fetched) -> Report:
    text = _storable(fetched.text())
    now = crawling.now()
    judgement = domain.judge(fetched.status_code, fetched.headers, text, now=now)
    outcome = judgement.outcome
    content_type = domain.media_type(fetched.headers)
    marks: tuple[Mark, ...] = ()
    if command.find_claim_codes and outcome == "ok":
        marks = await _find_marks(text, content_type)
    # What lies behind the cut is unknown; a code that was found before it is found all the same.
    if outcome == "ok" and fetched.truncated and not marks:
        outcome = "too_large"
    report = Report(
        outcome=outcome,
        url=fetched.url,
        final_url=fetched.final_url,
        retryable=judgement.retryable,
        retry_after_seconds=judgement.retry_after_seconds,
        redirect_urls=fetched.redirect_urls,
        status_code=fetched.status_code,
        dialled_address=fetched.dialled_address,
        body_bytes=len(fetched.body),
        content_sha256=hashlib.sha256(fetched.body).hexdigest(),
        marks=marks,
    )
    fresh = domain.fresh_for(fetched.status_code, fetched.headers)
    # A page of a verification is evidence, not stock: its hash is kept and its text is not.
    is_whole = outcome in {"ok", "not_found"} and not fetched.truncated
    if fresh is None or command.bypass_cache or not is_whole:
        return report
    page = PageRow(
        url=fetched.url,
        final_url=fetched.final_url,
        status_code=fetched.status_code,
        media_type=content_type,
        content=text if outcome == "ok" else "",
        content_sha256=report.content_sha256 or "",
        etag=fetched.headers.get("etag"),
        last_modified=fetched.headers.get("last-modified"),
        fetched_at=now,
        expires_at=now + fresh,
    )
    return replace(report, page=page)


async def _report_of_page(page: PageRow, command: CrawlFetch) -> Report:
    """The answer the cache holds; its time of fetching is the page's."""
    marks: tuple[Mark, ...] = ()
    if command.find_claim_codes:
        marks = await _find_marks(page.content, page.media_type)
    return Report(
        outcome="ok" if page.status_code < 300 else "not_found",
        url=page.url,
        final_url=page.final_url,
        redirect_urls=(page.final_url,) if page.final_url != page.url else (),
        status_code=page.status_code,
        content_sha256=page.content_sha256,
        marks=marks,
        from_cache=True,
    )


def _report_of_failure(nothing: Report, error: FetchError) -> Report:
    outcome: Outcome = "unreachable"
    if isinstance(error, Refused):
        outcome = "refused"
    elif isinstance(error, TooLarge):
        outcome = "too_large"
    elif isinstance(error, TooManyRedirects):
        outcome = "unsupported"
    return replace(
        nothing,
        outcome=outcome,
        reason=error.code,
        retryable=outcome == "unreachable",
        final_url=_storable(error.failed_url or nothing.url),
        redirect_urls=tuple(_storable(url) for url in error.redirect_urls),
    )


def _event(
    crawling: Crawling, command: CrawlFetch, report: Report
) -> CrawlPageFetched | CrawlJobFailed:
    if report.retryable:
        return CrawlJobFailed(
            job_id=command.job_id,
            url=command.url,
            outcome=report.outcome,
            attempts=report.attempts,
            failed_at=crawling.now(),
        )
    return CrawlPageFetched(
        job_id=command.job_id,
        url=command.url,
        final_url=report.final_url,
        redirect_urls=list(report.redirect_urls),
        outcome=report.outcome,
        status_code=report.status_code,
        content_sha256=report.content_sha256,
        marks=[ClaimCodeMark(code=mark.code, place=mark.place) for mark in report.marks],
        fetched_at=crawling.now(),
    )


async def _find_marks(text: str, content_type: str) -> tuple[Mark, ...]:
    is_html = content_type in domain.HTML_TYPES
    return await asyncio.to_thread(find_claim_codes, text, is_html=is_html)


def _validators(cached: PageRow) -> dict[str, str]:
    headers = {"if-none-match": cached.etag, "if-modified-since": cached.last_modified}
    return {name: value for name, value in headers.items() if value}


def _refreshed(crawling: Crawling, cached: PageRow, fetched: Fetched) -> PageRow:
    """The cached page, good for another while (RFC 9111 4.3.4)."""
    now = crawling.now()
    fresh = domain.fresh_for(cached.status_code, fetched.headers) or timedelta(0)
    return PageRow(**(cached.model_dump() | {"fetched_at": now, "expires_at": now + fresh}))


def _storable(text: str) -> str:
    """PostgreSQL text holds no NUL."""
    return text.replace("\x00", "\ufffd")
