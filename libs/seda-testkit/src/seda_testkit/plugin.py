"""Pytest fixtures, loaded for every test by `addopts` in the root pyproject.toml.

Under pytest-xdist every worker is a process, so session fixtures are one server per worker.

A service's conftest makes `db` and `published` work: it names its database `migrated` and its
outbox `outbox`.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import nats as nats_client
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from seda_contracts.base import Contract
from seda_db import Database
from seda_messaging import Outbox

from seda_testkit.caller import IDENTITY_HEADER
from seda_testkit.clock import HandClock
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.events import Deliveries, provision_every_service, published_by
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    # Only here is xdist sure to be at work.
    from seda_testkit.spreading import FilesStayTogether

    return FilesStayTogether(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Every trace of a test is kept; the first service started would sample one in ten.

    And Ctrl-C reaches what a test starts: a shell lets a run in the background ignore it, and a
    program inherits that.
    """
    del config
    trace.set_tracer_provider(TracerProvider())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is finished while the test runs: `spans.get_finished_spans()`."""
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


@pytest.fixture
def clock() -> HandClock:
    """Time that only the test moves."""
    return HandClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL server that forgets everything."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture(scope="module")
def nats() -> Iterator[EmbeddedNats]:
    """A real NATS server with JetStream, shared by the tests of one module.

    Not by more: what one service's tests publish would reach another's consumers.
    """
    with EmbeddedNats() as server:
        yield server


@pytest.fixture
def fresh_nats() -> Iterator[EmbeddedNats]:
    """A NATS server of this test alone: cheaper than deleting streams, and surer."""
    with EmbeddedNats() as server:
        yield server


@pytest.fixture(scope="module")
async def broker(nats: EmbeddedNats) -> EmbeddedNats:
    """`nats` with the streams and consumers of every service."""
    await provision_every_service(nats.url)
    return nats


@pytest.fixture
async def deliver(broker: EmbeddedNats) -> AsyncIterator[Deliveries]:
    """`await deliver(event)` puts it on its stream; `await deliver.settled(consumer)` waits."""
    connection = await nats_client.connect(broker.url)
    yield Deliveries(connection.jetstream())
    await connection.close()


@pytest.fixture(scope="session")
def database_factory(postgres: EmbeddedPostgres) -> DatabaseFactory:
    return DatabaseFactory(postgres)


@pytest.fixture(scope="module")
def service_database(
    database_factory: DatabaseFactory,
) -> Iterator[Callable[[str, str], ServiceDatabase]]:
    """`service_database("crawler", "crawler")`: this module's migrated database of that service.

    Asking twice gives the same one; `await database.delete_rows()` empties it between tests.
    """
    made: dict[tuple[str, str], ServiceDatabase] = {}

    def get(package: str, schema: str) -> ServiceDatabase:
        if (package, schema) not in made:
            made[package, schema] = database_factory.clone(package, schema)
        return made[package, schema]

    yield get
    for database in made.values():
        database_factory.drop(database)


@pytest.fixture
async def db(migrated: ServiceDatabase) -> AsyncIterator[Database]:
    """The service's own database, empty, as its role sees it."""
    await migrated.delete_rows()
    database = Database(migrated.app_url)
    yield database
    await database.close()


@pytest.fixture
def published(db: Database, outbox: Outbox) -> Callable[[], Awaitable[list[Contract]]]:
    """`await published()`: everything the service wrote to its outbox, decoded, in order."""
    return lambda: published_by(outbox, db)


@pytest.fixture(scope="session")
def keys() -> Iterator[GatewayKeys]:
    """Signing keys of a pretended gateway, published at `keys.gateway_url`."""
    signing = GatewayKeys()
    yield signing
    signing.close()


@pytest.fixture(scope="session")
def identity_headers(keys: GatewayKeys) -> Callable[..., dict[str, str]]:
    """`identity_headers(service, method, path, user_id=None, role="USER")` for one request."""

    def headers(service: str, method: str, path: str, **options: Any) -> dict[str, str]:
        return {IDENTITY_HEADER: keys.identity(service, method, path, **options)}

    return headers
