"""The service on a real database and a real broker, in front of a site of our own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from crawler.app import SERVICE, create_app
from crawler.operations import Crawling
from crawler.politeness import HostTurns
from crawler.settings import Settings
from crawler.tables import JobRow, Table
from seda_contracts.events.crawl import CrawlFetch, host_key
from seda_db import Database
from seda_fetch import Fetcher, FetchLimits
from seda_messaging import Outbox
from seda_runtime.ids import uuid7
from seda_testkit.app import running
from seda_testkit.caller import Caller
from seda_testkit.clock import HandClock
from seda_testkit.databases import ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from sqlalchemy import select

HOST = "tunes.example"
SITE = f"http://{HOST}"
PAGE = b"<title>Ada</title><p>My claim: seda-2345-6789</p>"


class RestingClock(HandClock):
    """Time that a rest moves too."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.pass_by(timedelta(seconds=seconds))


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", *(f"{k}: {v}" for k, v in self.headers.items())]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + self.body


class Site:
    """A web site whose answers a test sets: per path a list, of which the last one stays."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.in_flight = 0
        self.in_flight_max = 0

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def says(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight, self.in_flight_max)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            self.requests.append((path, {name.lower(): value for name, value in pairs}))
            waiting = self.answers.get(path, [Answer(404)])
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            writer.write(answer.encode())
            await writer.drain()
        self.in_flight -= 1
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    made.says("/", Answer(body=PAGE))
    yield made
    server.close()


@pytest.fixture
def clock() -> RestingClock:
    return RestingClock()


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("crawler", "crawler")


@pytest.fixture
def outbox(clock: RestingClock) -> Outbox:
    return Outbox(Table.metadata, service=SERVICE, now=clock)


@pytest.fixture
async def crawling(
    db: Database, site: Site, clock: RestingClock, outbox: Outbox
) -> AsyncIterator[Crawling]:
    """The operations' collaborators: everything real but the time."""

    async def no_names(host: str) -> list[str]:
        raise OSError(host)

    override = {HOST: f"127.0.0.1:{site.port}", "quiet.example": "127.0.0.1:1"}
    limits = FetchLimits(deadline_seconds=5)
    async with Fetcher("SedaBot/1.0 (+x)", limits, override, resolve=no_names) as fetcher:
        yield Crawling(
            db=db,
            fetcher=fetcher,
            outbox=outbox,
            turns=HostTurns(db, now=clock, rest=clock.rest),
            now=clock,
            product="SedaBot",
            retries_max=3,
            retry_budget_seconds=90.0,
            host_interval_seconds=0.0,
            rest=clock.rest,
            jitter=lambda: 1.0,
        )


def fetch_command(url: str = f"{SITE}/", **fields: Any) -> CrawlFetch:
    values: dict[str, Any] = {
        "job_id": uuid7(),
        "host_key": host_key(HOST),
        "url": url,
        "requested_by": "track-unfurl",
    }
    return CrawlFetch(**(values | fields))


@pytest.fixture
def command() -> Callable[..., CrawlFetch]:
    return fetch_command


@pytest.fixture
def jobs(db: Database) -> Callable[[], Any]:
    async def read() -> list[JobRow]:
        async with db.read() as tx:
            return list((await tx.scalars(select(JobRow))).all())

    return read


@pytest.fixture
def settings(
    migrated: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys, site: Site
) -> Settings:
    return Settings(
        env="test",
        port=0,
        database_url=migrated.app_url,
        nats_url=broker.url,
        gateway_url=keys.gateway_url,
        crawler_host_interval_ms=0,
        fetch_resolver_override={HOST: f"127.0.0.1:{site.port}"},
    )


@pytest.fixture
async def client(db: Database, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    del db  # emptied before the service starts
    async with running(create_app(settings)) as client:
        yield client


@pytest.fixture
def calling(client: httpx.AsyncClient, keys: GatewayKeys) -> Callable[..., Caller]:
    """`calling(user_id=..., role="ADMIN")` is that person; `calling()` is nobody."""
    return partial(Caller, client, keys, SERVICE, prefix="/api/v1/admin/crawler")
