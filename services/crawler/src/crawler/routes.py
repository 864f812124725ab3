"""HTTP for administrators: what was crawled, what is cached, and a job by hand."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from seda_db import Database
from seda_identity import Policy, Role

from crawler import operations, store
from crawler.domain import CursorRefused
from crawler.operations import Crawling

# Litestar takes no notice of msgspec.Meta on a query parameter; these limits it enforces.
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Cursor = Annotated[str | None, QueryParameter(max_length=20_000)]
UrlQuery = Annotated[str, QueryParameter(min_length=1, max_length=8_192)]
Url = Annotated[str, Meta(min_length=1, max_length=8_192)]
K = TypeVar("K")
ADMIN = Policy("crawler:manage", role=Role.ADMIN)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one job; `outcome` is null while it waits."""

    id: UUID
    url: str
    requested_by: str
    requested_at: datetime
    outcome: str | None
    reason: str | None
    attempts: int
    final_url: str | None
    dialled_address: str | None
    status_code: int | None
    body_bytes: int
    content_sha256: str | None
    from_cache: bool
    finished_at: datetime | None


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Job]
    next_cursor: str | None


class CachedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page the cache holds, without its text."""

    url: str
    final_url: str
    status_code: int
    media_type: str
    content_sha256: str
    fetched_at: datetime
    expires_at: datetime


class CachedPagePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[CachedPage]
    next_cursor: str | None


class NewJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Url


class CrawlerRoutes(Controller):
    path = "/api/v1/admin/crawler"
    tags = ("crawler",)

    @get("/jobs", operation_id="ListCrawlJobs", policy=ADMIN)
    async def list_jobs(
        self,
        db: NamedDependency[Database],
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> JobPage:
        """Newest first."""
        position = _read_cursor(cursor, tuple[datetime, UUID]) if cursor else None
        async with db.read() as tx:
            rows = await store.jobs_before(tx, position, limit=limit + 1)
        page, following = rows[:limit], rows[limit:]
        last = (page[-1].requested_at, page[-1].id) if following else None
        items = [msgspec.convert(row, Job, from_attributes=True) for row in page]
        return JobPage(items=items, next_cursor=_cursor(last) if last else None)

    @post("/jobs", operation_id="CreateCrawlJob", policy=ADMIN, status_code=202)
    async def create_job(
        self,
        data: JSONBody[NewJob],
        db: NamedDependency[Database],
        crawling: NamedDependency[Crawling],
    ) -> Job:
        """Fetch a page now, past the cache."""
        async with db.begin() as tx:
            job = await operations.request_job(tx, crawling, url=data.url)
        return msgspec.convert(job, Job, from_attributes=True)

    @get("/cache", operation_id="ListCachedPages", policy=ADMIN)
    async def list_pages(
        self,
        db: NamedDependency[Database],
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> CachedPagePage:
        """By address."""
        position = _read_cursor(cursor, str) if cursor else ""
        async with db.read() as tx:
            rows = await store.pages_after(tx, position, limit=limit + 1)
        page, following = rows[:limit], rows[limit:]
        items = [msgspec.convert(row, CachedPage, from_attributes=True) for row in page]
        return CachedPagePage(items=items, next_cursor=_cursor(page[-1].url) if following else None)

    @delete("/cache", operation_id="DeleteCachedPage", policy=ADMIN)
    async def delete_page(self, db: NamedDependency[Database], url: UrlQuery) -> None:
        async with db.begin() as tx:
            await operations.forget_page(tx, url=url)


def _cursor(position: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _read_cursor(cursor: str, kind: type[K]) -> K:
    """Raises CursorRefused. Nothing secret is behind a cursor, so it is checked and not signed."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = msgspec.json.decode(raw, type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise CursorRefused from error
    if isinstance(position, str) and "\x00" in position:
        raise CursorRefused
    return position
