"""Work other services ask for."""

from functools import partial

from seda_contracts.events.crawl import CrawlFetch
from seda_messaging import Delivery, Subscription, first_delivery

from crawler import operations
from crawler.operations import Crawling


async def on_crawl_fetch(command: CrawlFetch, delivery: Delivery, *, crawling: Crawling) -> None:
    """Ask the site outside any transaction, then record once.

    Two deliveries at the same time may both ask; only the first to commit has an effect.
    """
    async with crawling.db.read() as tx:
        if await operations.is_finished(tx, command.job_id):
            return
    report = await operations.crawl(crawling, command)
    async with crawling.db.begin() as tx:
        if await first_delivery(tx, delivery):
            await operations.finish(tx, crawling, command, report)


def subscriptions(crawling: Crawling, *, concurrency: int) -> tuple[Subscription, ...]:
    return (
        Subscription(
            CrawlFetch,
            partial(on_crawl_fetch, crawling=crawling),
            consumer="crawler.jobs",
            concurrency=concurrency,
        ),
    )
