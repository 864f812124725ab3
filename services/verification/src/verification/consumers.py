"""Facts of other services that concern claims: who owns which artist, and what a page holds."""

from functools import partial

from seda_contracts.events.artist import ArtistProfileCreated, ArtistProfileUpdated
from seda_contracts.events.crawl import CrawlJobFailed, CrawlPageFetched
from seda_db import Database
from seda_messaging import Delivery, Subscription, first_delivery

from verification import operations
from verification.domain import Mark, PageReport
from verification.moves import Claims


async def on_artist_changed(
    event: ArtistProfileCreated | ArtistProfileUpdated, delivery: Delivery, *, db: Database
) -> None:
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await operations.remember_artist(
                tx,
                artist_id=event.artist_id,
                user_id=event.user_id,
                links=event.links,
                version=event.version,
            )


async def on_page_fetched(
    event: CrawlPageFetched, delivery: Delivery, *, db: Database, claims: Claims
) -> None:
    report = PageReport(
        url=event.url,
        final_url=event.final_url,
        redirect_urls=event.redirect_urls,
        outcome=event.outcome,
        status_code=event.status_code,
        marks=[Mark(code=mark.code, place=mark.place) for mark in event.marks],
    )
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await operations.record_page(
                tx,
                claims,
                job_id=event.job_id,
                report=report,
                content_sha256=event.content_sha256,
            )


async def on_job_failed(
    event: CrawlJobFailed, delivery: Delivery, *, db: Database, claims: Claims
) -> None:
    blocked = event.outcome in {"blocked", "robots_denied"}
    async with db.begin() as tx:
        if await first_delivery(tx, delivery):
            await operations.record_failure(tx, claims, job_id=event.job_id, blocked=blocked)


def subscriptions(db: Database, claims: Claims) -> tuple[Subscription, ...]:
    artists, pages = "verification.artists", "verification.pages"
    on_artist = partial(on_artist_changed, db=db)
    return (
        Subscription(ArtistProfileCreated, on_artist, consumer=artists),
        Subscription(ArtistProfileUpdated, on_artist, consumer=artists),
        Subscription(
            CrawlPageFetched, partial(on_page_fetched, db=db, claims=claims), consumer=pages
        ),
        Subscription(CrawlJobFailed, partial(on_job_failed, db=db, claims=claims), consumer=pages),
    )
