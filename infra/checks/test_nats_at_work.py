"""With nothing but what permissions.conf grants, services do their work and people repair it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import nats as nats_client
import pytest
from auth_gateway.sessions import revocation
from nats.aio.client import Client
from seda_contracts import permissions
from seda_contracts.events.unfurl import TrackResolved, UnfurlResolve
from seda_contracts.live import AUTHOR_SUBJECT
from seda_db import Database
from seda_db.database import async_url
from seda_devrunner.broker import guarded_nats
from seda_messaging import Bus, KeyValueMirror, Outbox, Subscription, run_messaging
from seda_messaging.broker_keys import new_seed
from seda_messaging.inbox import Delivery
from seda_messaging.provision import provision
from seda_messaging.reading import PermanentFailure
from seda_messaging.tables import add_messaging_tables
from seda_testkit.eventually import eventually
from seda_testkit.postgres import EmbeddedPostgres
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

EXAMPLES = Path(__file__).parents[2] / "contracts/examples"
ASKED = UnfurlResolve.decode((EXAMPLES / UnfurlResolve.TYPE / "full.json").read_bytes())
UNANSWERABLE = msgspec.structs.replace(ASKED, url="https://example.org/none")
ANSWER = TrackResolved.decode((EXAMPLES / TrackResolved.TYPE / "full.json").read_bytes())


@pytest.fixture
async def two_schemas(
    postgres: EmbeddedPostgres,
) -> AsyncIterator[tuple[Database, Outbox, Outbox]]:
    """An outbox and an inbox each, in one database."""
    admin = await asyncpg.connect(postgres.admin_url)
    await admin.execute("DROP DATABASE IF EXISTS permissions WITH (FORCE)")
    await admin.execute("CREATE DATABASE permissions")
    await admin.close()
    url = postgres.admin_url.rpartition("/")[0] + "/permissions"
    engine = create_async_engine(async_url(url))
    outboxes = []
    async with engine.begin() as connection:
        for schema, service in (("chat", "chat-realtime"), ("unfurl", "track-unfurl")):
            metadata = MetaData(schema=schema)
            add_messaging_tables(metadata)
            await connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            await connection.run_sync(metadata.create_all)
            outboxes.append(Outbox(metadata, service=service))
    await engine.dispose()
    database = Database(url)
    yield database, outboxes[0], outboxes[1]
    await database.close()


async def test_restricted_services_do_their_work(
    tmp_path: Path, two_schemas: tuple[Database, Outbox, Outbox]
) -> None:
    """Outbox, consumer, dead letter, live signal and revocations, with nothing refused.

    chat-realtime asks for a link, track-unfurl answers one and buries the other.
    """
    seeds = {user: new_seed() for user in permissions.users()}
    with guarded_nats(tmp_path, permissions.users(), seeds) as server:
        for service in permissions.services():
            await provision(server.url, service, nkey_seed=seeds[permissions.PROVISIONER])
        await ask_and_answer(server.url, seeds, *two_schemas)
        await give_back(server.url, seeds[permissions.OPERATOR])
        gateway = Bus(server.url, service="auth-gateway", nkey_seed=seeds["auth-gateway"])
        await use_revocations(gateway)
        assert " Violation - " not in server.log_file.read_text()


async def ask_and_answer(
    url: str, seeds: dict[str, str], database: Database, of_chat: Outbox, of_unfurl: Outbox
) -> None:
    """Returns when both commands have left the queue, one of them to the dead letters."""
    chat, unfurl = (
        Bus(url, service=name, nkey_seed=seeds[name]) for name in ("chat-realtime", "track-unfurl")
    )
    answered: asyncio.Queue[TrackResolved] = asyncio.Queue()
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def resolve(command: UnfurlResolve, delivery: Delivery) -> None:
        if command.url != ASKED.url:
            raise PermanentFailure("no such link")
        async with database.begin() as tx:
            await of_unfurl.add(tx, ANSWER)

    async def attach(event: TrackResolved, delivery: Delivery) -> None:
        answered.put_nowait(event)

    async with (
        run_messaging(
            chat,
            of_chat,
            database,
            (Subscription(TrackResolved, attach, "chat-realtime.cards"),),
        ),
        run_messaging(
            unfurl,
            of_unfurl,
            database,
            (Subscription(UnfurlResolve, resolve, "track-unfurl.links"),),
        ),
    ):
        await chat.subscribe_live(AUTHOR_SUBJECT, lambda _, payload: heard.put_nowait(payload))
        await chat.publish_live(AUTHOR_SUBJECT, b"frame")
        assert await asyncio.wait_for(heard.get(), 5) == b"frame"
        async with database.begin() as tx:
            await of_chat.add(tx, ASKED)
            await of_chat.add(tx, UNANSWERABLE)
        assert await asyncio.wait_for(answered.get(), 20) == ANSWER

        looking = await enter(url, permissions.OPS, seeds[permissions.OPS])
        js = looking.jetstream()

        async def is_settled() -> bool:
            buried = (await js.stream_info("DLQ")).state.messages
            left = (await js.stream_info("CMD_UNFURL")).state.messages
            return (buried, left) == (1, 0)

        await eventually(is_settled)
        await looking.close()


async def enter(url: str, user: str, seed: str) -> Client:
    prefix = f"_INBOX_{user}".encode()
    return await nats_client.connect(url, nkeys_seed_str=seed, inbox_prefix=prefix)


async def give_back(url: str, seed: str) -> None:
    """What an operator does with a dead letter: read, send again, and then delete."""
    client = await enter(url, permissions.OPERATOR, seed)
    js = client.jetstream()
    letter = await js.get_msg("DLQ", 1)
    assert letter.data is not None
    assert letter.headers is not None
    subject = letter.headers["seda-dead-subject"]
    await js.publish(subject, letter.data, headers={"Nats-Msg-Id": "retry:1"})
    assert await js.delete_msg("DLQ", 1)
    assert (await js.stream_info("CMD_UNFURL")).state.messages == 1
    await client.close()


async def use_revocations(bus: Bus) -> None:
    """Two gateways: one writes, the other watches, and a third reads from the start."""
    await bus.open()
    one, two, late = (KeyValueMirror(bus, revocation.BUCKET) for _ in range(3))
    await one.open()
    await two.open()
    await one.put("session", b"ended")
    await eventually(lambda: two.values == {"session": b"ended"})
    await late.open()
    assert late.values == {"session": b"ended"}
    for mirror in (one, two, late):
        await mirror.close()
    await bus.close()
