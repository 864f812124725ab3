"""The whole way of a job, against a site of our own. Time is moved by resting."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from crawler import operations, store
from crawler.operations import Crawling, Report
from seda_contracts.events.crawl import (
    ClaimCodeMark,
    CrawlFetch,
    CrawlJobFailed,
    CrawlPageFetched,
)

from .conftest import PAGE, SITE, Answer, RestingClock, Site

Command = Callable[..., CrawlFetch]
Published = Callable[[], Any]


async def _run(crawling: Crawling, command: CrawlFetch) -> Report:
    report = await operations.crawl(crawling, command)
    async with crawling.db.begin() as tx:
        await operations.finish(tx, crawling, command, report)
    return report


async def test_a_page_is_fetched_recorded_and_reported(
    crawling: Crawling, command: Command, published: Published, jobs: Published
) -> None:
    asked = command(find_claim_codes=True)
    await _run(crawling, asked)
    (event,) = await published()
    assert isinstance(event, CrawlPageFetched)
    assert (event.job_id, event.outcome, event.status_code) == (asked.job_id, "ok", 200)
    assert event.marks == [ClaimCodeMark(code="seda-2345-6789", place="visible_text")]
    (job,) = await jobs()
    assert (job.outcome, job.attempts, job.body_bytes) == ("ok", 1, len(PAGE))
    assert (job.dialled_address, job.final_url) == ("127.0.0.1", f"{SITE}/")
    assert job.content_sha256 == event.content_sha256


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/", "refused_address"),
        ("http://169.254.169.254/latest/", "refused_address"),
        ("file:///etc/passwd", "refused_scheme"),
        ("http://redis/", "refused_host"),
        ("http://tunes.example:6379/", "refused_port"),
        ("nonsense \x00", "invalid_url"),
    ],
)
async def test_an_address_of_our_own_network_is_refused_at_once(
    crawling: Crawling,
    command: Command,
    published: Published,
    jobs: Published,
    site: Site,
    url: str,
    reason: str,
) -> None:
    report = await _run(crawling, command(url))
    assert (report.outcome, report.reason) == ("refused", reason)
    assert [event.outcome for event in await published()] == ["refused"]
    assert [job.reason for job in await jobs()] == [reason]
    assert site.requests == []


async def test_a_redirect_into_our_own_network_is_refused(
    crawling: Crawling, command: Command, site: Site
) -> None:
    site.says("/", Answer(302, headers={"Location": "http://10.0.0.1/"}))
    report = await _run(crawling, command())
    assert (report.outcome, report.reason) == ("refused", "refused_address")
    assert report.redirect_urls == ("http://10.0.0.1/",)


async def test_the_cache_answers_while_it_is_fresh(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    await _run(crawling, command())
    clock.pass_by(timedelta(minutes=59))
    again = await _run(crawling, command(find_claim_codes=True))
    assert again.from_cache
    assert [mark.code for mark in again.marks] == ["seda-2345-6789"]
    assert site.paths == ["/robots.txt", "/"]


async def test_a_stale_page_is_asked_for_with_its_validators_and_304_renews_it(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    headers = {"Content-Type": "text/html", "ETag": '"1"', "Last-Modified": "yesterday"}
    site.says("/", Answer(body=PAGE, headers=headers), Answer(304, headers={}))
    await _run(crawling, command())
    clock.pass_by(timedelta(hours=2))
    renewed = await _run(crawling, command())
    asked = site.requests[-1][1]
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('"1"', "yesterday")
    assert renewed.outcome == "ok"
    clock.pass_by(timedelta(minutes=30))
    await _run(crawling, command())
    assert len(site.requests) == 3


async def test_bypassing_the_cache_neither_reads_nor_fills_it(
    crawling: Crawling, command: Command, site: Site
) -> None:
    await _run(crawling, command(bypass_cache=True, requested_by="verification"))
    async with crawling.db.read() as tx:
        assert await store.page_by_url(tx, f"{SITE}/") is None
    await _run(crawling, command())
    await _run(crawling, command(bypass_cache=True, requested_by="verification"))
    assert site.paths.count("/") == 3
    assert site.requests[-1][1]["cache-control"] == "no-cache"
    assert "if-none-match" not in site.requests[-1][1]


async def test_a_page_that_says_no_store_is_not_stored(
    crawling: Crawling, command: Command, site: Site
) -> None:
    headers = {"Content-Type": "text/html", "Cache-Control": "no-store"}
    site.says("/", Answer(body=PAGE, headers=headers))
    await _run(crawling, command())
    await _run(crawling, command())
    assert site.paths.count("/") == 2


# --- robots --------------------------------------------------------------------------------------


async def test_a_page_that_robots_forbids_is_never_asked_for(
    crawling: Crawling, command: Command, site: Site, published: Published
) -> None:
    site.says("/robots.txt", Answer(body=b"\xef\xbb\xbfUser-agent: SedaBot\nDisallow: /\n"))
    report = await _run(crawling, command())
    assert report.outcome == "robots_denied"
    assert site.paths == ["/robots.txt"]
    (event,) = await published()
    assert isinstance(event, CrawlPageFetched)


async def test_rules_are_kept_for_a_day(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    await _run(crawling, command(bypass_cache=True))
    clock.pass_by(timedelta(hours=23))
    await _run(crawling, command(bypass_cache=True))
    assert site.paths.count("/robots.txt") == 1
    clock.pass_by(timedelta(hours=2))
    await _run(crawling, command(bypass_cache=True))
    assert site.paths.count("/robots.txt") == 2


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_rules_that_cannot_be_read_forbid_until_they_can(
    crawling: Crawling, command: Command, site: Site, status: int
) -> None:
    site.says("/robots.txt", Answer(status), Answer(status), Answer(404))
    report = await _run(crawling, command())
    assert (report.outcome, report.attempts) == ("ok", 3)
    assert site.paths == ["/robots.txt", "/robots.txt", "/robots.txt", "/"]


async def test_rules_behind_a_loop_count_as_absent(
    crawling: Crawling, command: Command, site: Site
) -> None:
    site.says("/robots.txt", Answer(302, headers={"Location": "/robots.txt"}))
    assert (await _run(crawling, command())).outcome == "ok"


async def test_only_the_first_500_kib_of_rules_are_read(
    crawling: Crawling, command: Command, site: Site
) -> None:
    body = b"# filler\n" * 60_000 + b"User-agent: *\nDisallow: /\n"
    site.says("/robots.txt", Answer(body=body))
    assert (await _run(crawling, command())).outcome == "ok"


# --- patience ------------------------------------------------------------------------------------


async def test_a_host_that_answers_later_is_asked_again_with_growing_waits(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    site.says("/", Answer(503), Answer(500), Answer(body=PAGE))
    report = await _run(crawling, command())
    assert (report.outcome, report.attempts) == ("ok", 3)
    assert clock.rests == [1.0, 2.0]


async def test_retry_after_is_a_floor(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    site.says("/", Answer(429, headers={"Retry-After": "17"}), Answer(body=PAGE))
    assert (await _run(crawling, command())).outcome == "ok"
    assert clock.rests == [17.0]


async def test_a_job_whose_retries_are_used_up_has_failed(
    crawling: Crawling, command: Command, site: Site, published: Published
) -> None:
    site.says("/", Answer(503))
    asked = command()
    await _run(crawling, asked)
    (event,) = await published()
    assert isinstance(event, CrawlJobFailed)
    assert (event.job_id, event.outcome, event.attempts) == (asked.job_id, "unreachable", 4)
    assert site.paths.count("/") == 4


async def test_waiting_stops_at_its_budget(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    site.says("/", Answer(429, headers={"Retry-After": "9999999999"}))
    report = await _run(crawling, command())
    assert (report.outcome, report.attempts) == ("blocked", 2)
    assert clock.rests == [60.0]


async def test_a_host_that_does_not_exist_has_failed(
    crawling: Crawling, command: Command, published: Published
) -> None:
    report = await _run(crawling, command("http://nowhere.example/"))
    assert (report.outcome, report.reason) == ("unreachable", "robots_unreachable")
    assert isinstance((await published())[0], CrawlJobFailed)


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_a_site_that_says_no_is_not_asked_twice(
    crawling: Crawling, command: Command, site: Site, status: int
) -> None:
    site.says("/", Answer(status))
    report = await _run(crawling, command())
    assert (report.outcome, report.attempts) == ("blocked", 1)


async def test_a_challenge_page_is_blocked_and_not_cached(
    crawling: Crawling, command: Command, site: Site
) -> None:
    site.says("/", Answer(body=b"<title>Client Challenge</title>"))
    assert (await _run(crawling, command())).outcome == "blocked"
    assert (await _run(crawling, command())).outcome == "blocked"
    assert site.paths.count("/") == 2


async def test_a_page_past_the_limit_is_too_large_unless_the_code_came_first(
    crawling: Crawling, command: Command, site: Site
) -> None:
    site.says("/", Answer(body=PAGE + b"<p>filler</p>" * 50_000))
    assert (await _run(crawling, command(find_claim_codes=True))).outcome == "ok"
    again = await _run(crawling, command())
    assert (again.outcome, again.from_cache) == ("too_large", False)


async def test_a_nul_on_a_page_can_be_stored(
    crawling: Crawling, command: Command, site: Site
) -> None:
    site.says("/", Answer(body=b"a\x00b"))
    assert (await _run(crawling, command())).outcome == "ok"


async def test_requests_to_one_host_keep_their_distance_and_never_overlap(
    crawling: Crawling, command: Command, site: Site, clock: RestingClock
) -> None:
    site.says("/robots.txt", Answer(body=b"User-agent: *\nCrawl-delay: 3\n"))
    await _run(crawling, command(bypass_cache=True))
    assert clock.rests == []
    patient = replace(crawling, host_interval_seconds=1.0)
    started = clock()
    await asyncio.gather(*(_run(patient, command(bypass_cache=True)) for _ in range(4)))
    assert site.in_flight_max == 1
    assert clock() - started >= timedelta(seconds=9)


async def test_a_finished_job_stays_as_it_was(
    crawling: Crawling, command: Command, site: Site, published: Published, jobs: Published
) -> None:
    asked = command(bypass_cache=True)
    await _run(crawling, asked)
    site.says("/", Answer(404))
    await _run(crawling, asked)
    assert len(await published()) == 1
    assert [job.outcome for job in await jobs()] == ["ok"]
