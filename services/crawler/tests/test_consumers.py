"""Commands arriving from the broker, more than once."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from seda_contracts.events.crawl import CrawlFetch
from seda_testkit.events import Deliveries
from seda_testkit.eventually import eventually

from .conftest import Site

Command = Callable[..., CrawlFetch]
Published = Callable[[], Any]


async def test_a_command_delivered_twice_has_one_effect(
    client: httpx.AsyncClient,
    deliver: Deliveries,
    command: Command,
    published: Published,
    jobs: Published,
) -> None:
    asked = command(bypass_cache=True)
    await deliver(asked, times=2)
    await deliver(asked)
    await eventually(published)
    await deliver.settled("crawler.jobs")
    assert [event.job_id for event in await published()] == [asked.job_id]
    assert len(await jobs()) == 1


async def test_commands_for_many_jobs_are_all_answered(
    client: httpx.AsyncClient, deliver: Deliveries, command: Command, published: Published
) -> None:
    asked = [command(bypass_cache=True) for _ in range(10)]
    await asyncio.gather(*(deliver(each) for each in asked))

    async def all_answered() -> bool:
        return {event.job_id for event in await published()} == {each.job_id for each in asked}

    await eventually(all_answered)


async def test_a_refused_address_is_reported_and_not_retried(
    client: httpx.AsyncClient,
    deliver: Deliveries,
    command: Command,
    published: Published,
    site: Site,
) -> None:
    await deliver(command("http://127.0.0.1/"))
    await eventually(published)
    assert [event.outcome for event in await published()] == ["refused"]
    assert site.requests == []
