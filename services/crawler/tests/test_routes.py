"""The administrator's view."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crawler import operations
from crawler.operations import Crawling
from seda_contracts.events.crawl import CrawlFetch
from seda_testkit.caller import Caller
from seda_testkit.eventually import eventually

from .conftest import SITE, Site

Calling = Callable[..., Caller]


@pytest.fixture
def admin(calling: Calling) -> Caller:
    return calling(user_id=uuid4(), role="ADMIN")


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/jobs", {}),
        ("POST", "/jobs", {"json": {"url": f"{SITE}/"}}),
        ("GET", "/cache", {}),
        ("DELETE", f"/cache?url={SITE}/", {}),
    ],
)
async def test_only_an_administrator_may_look(
    calling: Calling, method: str, path: str, options: dict[str, Any]
) -> None:
    assert (await calling()(method, path, **options)).status_code == 401
    assert (await calling(user_id=uuid4())(method, path, **options)).status_code == 403


async def test_a_job_by_hand_is_taken_and_finished(admin: Caller, site: Site) -> None:
    created = await admin("POST", "/jobs", json={"url": f"{SITE}/#x"})
    assert created.status_code == 202
    assert (created.json()["url"], created.json()["outcome"]) == (f"{SITE}/", None)

    async def finished() -> Any:
        (job,) = (await admin("GET", "/jobs")).json()["items"]
        return job if job["outcome"] else None

    job = await eventually(finished)
    assert (job["id"], job["outcome"]) == (created.json()["id"], "ok")
    assert (job["requested_by"], job["status_code"]) == ("admin", 200)
    assert site.paths == ["/robots.txt", "/"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "file:///etc/passwd", "nonsense", "http://a/"]
)
async def test_a_job_for_our_own_network_is_refused(admin: Caller, url: str) -> None:
    answer = await admin("POST", "/jobs", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "address_refused")


@pytest.mark.parametrize("body", [{}, {"url": ""}, {"url": 1}, {"url": "http://a.example", "x": 1}])
async def test_a_malformed_job_is_refused(admin: Caller, body: dict[str, Any]) -> None:
    assert (await admin("POST", "/jobs", json=body)).status_code == 400


async def test_jobs_are_listed_newest_first_page_by_page(
    admin: Caller, crawling: Crawling, command: Callable[..., CrawlFetch]
) -> None:
    for _ in range(5):
        asked = command("http://127.0.0.1/")
        report = await operations.crawl(crawling, asked)
        async with crawling.db.begin() as tx:
            await operations.finish(tx, crawling, asked, report)
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await admin("GET", f"/jobs?limit=2{cursor}")).json()
        seen += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


async def test_a_cached_page_is_listed_and_forgotten(
    admin: Caller, crawling: Crawling, command: Callable[..., CrawlFetch]
) -> None:
    asked = command()
    report = await operations.crawl(crawling, asked)
    async with crawling.db.begin() as tx:
        await operations.finish(tx, crawling, asked, report)
    listed = (await admin("GET", "/cache")).json()
    assert [page["url"] for page in listed["items"]] == [f"{SITE}/"]
    assert "content" not in listed["items"][0]
    assert (await admin("DELETE", f"/cache?url={SITE}/")).status_code == 204
    gone = await admin("DELETE", f"/cache?url={SITE}/")
    assert (gone.status_code, gone.json()["code"]) == (404, "page_not_cached")
    assert (await admin("GET", "/cache")).json()["items"] == []


@pytest.mark.parametrize(
    "path", ["/jobs?cursor=x", "/cache?cursor=eyJ4IjoxfQ", "/jobs?limit=0", "/cache?limit=101"]
)
async def test_a_made_up_cursor_or_limit_is_refused(admin: Caller, path: str) -> None:
    assert (await admin("GET", path)).status_code == 400


async def test_health_answers_without_an_identity(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
