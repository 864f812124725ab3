"""The service on a real database and a real broker, and a client that speaks as the gateway."""

import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import nats
import pytest
from litestar import Litestar
from nats.js import JetStreamContext
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.registry import BY_TYPE, durable_name
from seda_db import Database
from seda_messaging import Outbox
from seda_messaging.provision import provision
from seda_runtime.ids import uuid7
from seda_testkit.app import running
from seda_testkit.databases import ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from sqlalchemy import select
from verification import operations
from verification.app import SERVICE, create_app
from verification.domain import Limits
from verification.moves import Claims
from verification.settings import Settings
from verification.tables import ClaimRow, Table

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAGE = "https://nova.example/"


class HandClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, time: timedelta) -> None:
        self.moment += time


class Caller:
    """Sends requests as the gateway would for one person, or for nobody."""

    def __init__(self, client: httpx.AsyncClient, keys: GatewayKeys, **who: Any) -> None:
        self._client = client
        self._keys = keys
        self._who = who

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        full_path = f"/api/v1{path}"
        token = self._keys.identity(SERVICE, method, full_path, **self._who)
        headers = {"X-Seda-Identity": token, **options.pop("headers", {})}
        return await self._client.request(method, full_path, headers=headers, **options)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("verification", "verification")


@pytest.fixture
async def db(migrated: ServiceDatabase) -> AsyncIterator[Database]:
    await migrated.delete_rows()
    database = Database(migrated.app_url)
    yield database
    await database.close()


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(Table.metadata, service=SERVICE)


@pytest.fixture
def claims(outbox: Outbox, clock: HandClock) -> Claims:
    return Claims(outbox=outbox, now=clock, limits=Limits(), choose=secrets.choice)


@pytest.fixture
def published(db: Database, outbox: Outbox) -> Callable[[], Any]:
    """Everything the service wrote to its outbox, decoded, in order."""

    async def read() -> list[Contract]:
        query = select(outbox.table.c.headers, outbox.table.c.payload).order_by(outbox.table.c.id)
        async with db.read() as tx:
            rows = (await tx.execute(query)).all()
        return [BY_TYPE[headers["ce-type"]].contract.decode(body) for headers, body in rows]

    return read


@pytest.fixture
def listed(db: Database) -> Callable[..., Any]:
    """`await listed(user_id, link, ...)` makes an artist of that person known; gives its id."""

    async def make(user_id: UUID, *links: str) -> UUID:
        artist_id = uuid7()
        async with db.begin() as tx:
            await operations.remember_artist(
                tx, artist_id=artist_id, user_id=user_id, links=list(links or (PAGE,)), version=1
            )
        return artist_id

    return make


@pytest.fixture
def submit(db: Database, claims: Claims, listed: Callable[..., Any]) -> Callable[..., Any]:
    """`await submit(user_id)` lists an artist, draws a code and gives claim and code."""

    async def make(
        user_id: UUID, target_url: str = PAGE, *, artist_id: UUID | None = None
    ) -> tuple[ClaimRow, str]:
        artist_id = artist_id or await listed(user_id)
        async with db.begin() as tx:
            return await operations.submit_claim(
                tx, claims, user_id=user_id, artist_id=artist_id, target_url=target_url
            )

    return make


@pytest.fixture
def begin_check(db: Database, claims: Claims) -> Callable[..., Any]:
    """`await begin_check(claim)` starts a check as its owner and gives the claim as it is then."""

    async def make(claim: ClaimRow) -> ClaimRow:
        async with db.begin() as tx:
            return await operations.start_check(
                tx, claims, user_id=claim.user_id, claim_id=claim.id
            )

    return make


@pytest.fixture(scope="module")
async def broker(nats: EmbeddedNats) -> EmbeddedNats:
    """The broker with every stream this service and its neighbours speak on."""
    for service in ("user-artist", "crawler", SERVICE):
        await provision(nats.url, service)
    return nats


@pytest.fixture
def settings(migrated: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys) -> Settings:
    return Settings(
        env="test",
        port=0,
        database_url=migrated.app_url,
        nats_url=broker.url,
        gateway_url=keys.gateway_url,
    )


@pytest.fixture
def app(settings: Settings, clock: HandClock) -> Litestar:
    return create_app(settings, now=clock)


@pytest.fixture
async def client(db: Database, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    del db  # emptied before the service starts
    async with running(app) as client:
        yield client


@pytest.fixture
def calling(client: httpx.AsyncClient, keys: GatewayKeys) -> Callable[..., Caller]:
    """`calling(user_id=...)` is that person; `calling()` is nobody."""
    return lambda **who: Caller(client, keys, **who)


@pytest.fixture
async def deliver(broker: EmbeddedNats) -> AsyncIterator[Callable[..., Any]]:
    """`await deliver(event, event_id)` puts it on its stream; copies are not held back.

    `await deliver.settled(consumer)` returns when that consumer has dealt with all it was sent.
    """
    connection = await nats.connect(broker.url)
    yield Deliveries(connection.jetstream())
    await connection.close()


class Deliveries:
    """Another service, as the broker sees it."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def __call__(self, event: Contract, event_id: UUID) -> None:
        entry = BY_TYPE[event.TYPE]
        headers = headers_of(event, event_id=event_id, service=entry.producer, at=NOON)
        # Without its id the broker cannot drop the copy: what is left to help is the inbox.
        headers.pop("Nats-Msg-Id")
        await self._js.publish(event.subject(), event.encode(), headers=headers)

    async def settled(self, consumer: str, stream: str) -> None:
        async def is_idle() -> bool:
            info = await self._js.consumer_info(stream, durable_name(consumer))
            return info.num_pending == 0 and info.num_ack_pending == 0

        await eventually(is_idle, timeout_seconds=20)

    async def dead_letters(self, consumer: str) -> int:
        info = await self._js.stream_info("DLQ", subjects_filter=f"seda.dlq.{consumer}")
        return sum((info.state.subjects or {}).values())
