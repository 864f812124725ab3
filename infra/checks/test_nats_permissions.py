"""infra/nats/permissions.conf on a real server: who may say, hear, take and administer what.

A refusal reaches a client as an error beside its connection, and looks like a time-out to whoever
waits for an answer: a permission that is missing is found here or in production.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import nats as nats_client
import nkeys
import pytest
from auth_gateway.sessions import revocation
from nats.aio.client import Client
from nats.errors import Error as NatsError
from seda_contracts import permissions
from seda_contracts.events.unfurl import TrackResolved, UnfurlResolve
from seda_contracts.live import AUTHOR_SUBJECT, room_subject, user_subject
from seda_contracts.registry import REGISTRY, durable_name
from seda_contracts.streams import BUCKETS, STREAMS
from seda_db import Database
from seda_db.database import async_url
from seda_messaging import Bus, KeyValueMirror, Outbox, Subscription, run_messaging
from seda_messaging.consumer import PermanentFailure
from seda_messaging.inbox import Delivery
from seda_messaging.provision import provision
from seda_messaging.tables import add_messaging_tables
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

CONFIGURATION = Path("infra/nats/permissions.conf")
SERVICES = permissions.services()
DURABLES = {
    c: stream for service in SERVICES for c, stream in permissions.durables_of(service).items()
}
LIVE = (room_subject(uuid4()), user_subject(uuid4()), AUTHOR_SUBJECT)

EXAMPLES = Path(__file__).parents[2] / "contracts/examples"
ASKED = UnfurlResolve.decode((EXAMPLES / UnfurlResolve.TYPE / "full.json").read_bytes())
UNANSWERABLE = msgspec.structs.replace(ASKED, url="https://example.org/none")
ANSWER = TrackResolved.decode((EXAMPLES / TrackResolved.TYPE / "full.json").read_bytes())


@dataclass(slots=True)
class Guarded:
    """A server that knows its users, and their private keys."""

    server: EmbeddedNats
    seeds: dict[str, str]


END = "nobody.may"
"""What no user may publish: its refusal comes behind the answers to everything said before."""


@dataclass(slots=True)
class Person:
    """A raw connection of one user, and what the server has refused it."""

    user: str
    client: Client
    refusals: asyncio.Queue[str]

    async def may_publish(self, subject: str, payload: bytes = b"{}") -> bool:
        await self.client.publish(subject, payload)
        return not await self._refused("publish", subject)

    async def may_subscribe(self, subject: str) -> bool:
        subscription = await self.client.subscribe(subject)
        refused = await self._refused("subscription", subject)
        if not refused:
            await subscription.unsubscribe()
        return not refused

    async def _refused(self, what: str, subject: str) -> bool:
        """A flush does not do: the client's PING overtakes what it has buffered."""
        await self.client.publish(END, b"")
        said = []
        while f'"{END}"' not in (refusal := await asyncio.wait_for(self.refusals.get(), 5)):
            said.append(refusal)
        wanted = f'permissions violation for {what} to "{subject}"'.lower()
        assert all(wanted in refusal for refusal in said), said
        return bool(said)


def make_guarded(root: Path) -> Guarded:
    seeds, variables = {}, []
    for user in permissions.users():
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        seeds[user] = seed.decode()
        public = nkeys.from_seed(seed).public_key.decode()
        variables.append(f'{permissions.key_variable(user)}: "{public}"\n')
    configuration = (root / CONFIGURATION).read_text()
    return Guarded(EmbeddedNats(extra_config="".join(variables) + configuration), seeds)


async def connect(guarded: Guarded, user: str) -> Person:
    refusals: asyncio.Queue[str] = asyncio.Queue()

    async def refused(error: Exception) -> None:
        refusals.put_nowait(str(error).lower())

    client = await nats_client.connect(
        guarded.server.url,
        nkeys_seed_str=guarded.seeds[user],
        inbox_prefix=f"_INBOX_{user}".encode(),
        error_cb=refused,
        allow_reconnect=False,
    )
    return Person(user, client, refusals)


@pytest.fixture(scope="module")
async def guarded(root: Path) -> AsyncIterator[Guarded]:
    """Provisioned as the migration Jobs do it, twice over, because every release does."""
    made = make_guarded(root)
    with made.server:
        for service in (*SERVICES, *SERVICES):
            await provision(made.server.url, service, nkey_seed=made.seeds[permissions.PROVISIONER])
        yield made


@pytest.fixture
async def guarded_alone(root: Path) -> AsyncIterator[Guarded]:
    """For the test that wants to see no refusal at all."""
    made = make_guarded(root)
    with made.server:
        for service in SERVICES:
            await provision(made.server.url, service, nkey_seed=made.seeds[permissions.PROVISIONER])
        yield made


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


@pytest.fixture
async def people(guarded: Guarded) -> AsyncIterator[dict[str, Person]]:
    found = {user: await connect(guarded, user) for user in permissions.users()}
    yield found
    for person in found.values():
        await person.client.close()


def test_the_configuration_is_what_the_contracts_say(root: Path) -> None:
    """`make generate` writes it anew."""
    assert (root / CONFIGURATION).read_text() == permissions.configuration()


def test_users_are_the_services_and_two_that_are_none(services) -> None:
    assert set(SERVICES) == {service.name for service in services}
    assert set(permissions.users()) == {*SERVICES, permissions.PROVISIONER, permissions.OPS}
    assert [(bucket.service, bucket.name) for bucket in BUCKETS] == [
        ("auth-gateway", revocation.BUCKET)
    ]


def test_no_user_has_an_empty_list_which_would_mean_everything() -> None:
    for user, allowed in permissions.users().items():
        assert allowed.publish, user
        assert allowed.subscribe, user
        assert not {">", "*", "seda.>", "$JS.>", "$JS.API.>"} & {
            *allowed.publish,
            *allowed.subscribe,
        }


STRANGER = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()


@pytest.mark.parametrize(
    "options", [{}, {"user": "chat-realtime", "password": "x"}, {"nkeys_seed_str": STRANGER}]
)
async def test_who_is_not_known_is_not_let_in(guarded: Guarded, options: dict[str, str]) -> None:
    client = Client()
    with pytest.raises(NatsError, match=r"(?i)authorization violation"):
        await client.connect(guarded.server.url, allow_reconnect=False, **options)
    await client.close()


async def test_only_its_producers_publish_a_type(guarded: Guarded, people) -> None:
    """And what was refused is in no stream: counted, not believed."""
    looking = people[permissions.OPS].client.jetstream()
    streams = {entry.stream.name for entry in REGISTRY}
    before = {name: (await looking.stream_info(name)).state.messages for name in streams}
    wrong, expected = [], dict(before)
    for user, person in people.items():
        for entry in REGISTRY:
            subject = entry.contract.subject_filter().replace("*", f"key-{user}")
            is_producer = user in entry.producers
            if await person.may_publish(subject) is not is_producer:
                wrong.append(f"{user} -> {subject}: expected {is_producer}")
            expected[entry.stream.name] += is_producer
    assert wrong == []
    assert {n: (await looking.stream_info(n)).state.messages for n in streams} == expected


async def test_only_its_service_writes_dead_letters_and_live_signals(people) -> None:
    wrong = []
    for user, person in people.items():
        allowed = set(permissions.LIVE.get(user, ()))
        for subject in LIVE:
            if await person.may_publish(subject) is not bool(allowed):
                wrong.append(f"{user} -> {subject}")
            if await person.may_subscribe(subject) is not bool(allowed):
                wrong.append(f"{user} <- {subject}")
        for consumer in DURABLES:
            is_own = consumer.startswith(f"{user}.")
            if await person.may_publish(f"seda.dlq.{consumer}") is not is_own:
                wrong.append(f"{user} -> seda.dlq.{consumer}")
    assert wrong == []


async def test_only_its_service_takes_from_a_durable_and_settles(people) -> None:
    wrong = []
    for user, person in people.items():
        for consumer, stream in DURABLES.items():
            durable, is_own = durable_name(consumer), consumer.startswith(f"{user}.")
            take = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
            if await person.may_publish(take, b'{"batch":1,"no_wait":true}') is not is_own:
                wrong.append(f"{user} takes from {consumer}")
            # Of a delivery that never was: the server lets it pass or refuses it, no more.
            settle = f"$JS.ACK.{stream}.{durable}.1.999999.999999.1.0"
            if await person.may_publish(settle) is not is_own:
                wrong.append(f"{user} settles {consumer}")
    assert wrong == []


async def test_a_service_is_answered_by_its_own_durables(people) -> None:
    for consumer, stream in DURABLES.items():
        client = people[consumer.partition(".")[0]].client
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable_name(consumer)}"
        # An inbox per request: what is delivered bears the subject of the event, not of the reply.
        request = b'{"batch":1,"no_wait":true}'
        answer = await client.request(subject, request, timeout=5, old_style=True)
        status = (answer.headers or {}).get("Status")
        assert status in (None, "404"), (consumer, answer.headers)


async def test_nobody_listens_to_events_inboxes_or_the_server(people) -> None:
    """Events are taken from durables; a wildcard would hear what nobody granted."""
    subjects = [entry.contract.subject_filter() for entry in REGISTRY]
    subjects += [">", "seda.>", "seda.live.>", "seda.dlq.>", "_INBOX.>", "$SYS.>", "$JS.>", "$KV.>"]
    wrong = []
    for user, person in people.items():
        foreign = [permissions.inbox(other) for other in people if other != user]
        for subject in (*subjects, *foreign):
            if await person.may_subscribe(subject):
                wrong.append(f"{user} <- {subject}")
        if not await person.may_subscribe(permissions.inbox(user)):
            wrong.append(f"{user} <- its own inbox")
    assert wrong == []


ADMINISTRATION = (
    *(f"STREAM.{verb}.{{0}}" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE")),
    "CONSUMER.CREATE.{0}.own.seda.>",
    "CONSUMER.DURABLE.CREATE.{0}.own",
    "CONSUMER.DELETE.{0}.own",
)
READING = ("STREAM.MSG.GET.{0}", "DIRECT.GET.{0}", "DIRECT.GET.{0}.seda.>", "STREAM.MSG.DELETE.{0}")
LOOKING = ("STREAM.INFO.{0}", "CONSUMER.LIST.{0}")


async def test_only_the_provisioner_administers_and_only_two_look(people) -> None:
    """Broken requests: the server answers a permitted one with an error and changes nothing."""
    wrong = []
    for user, person in people.items():
        administers = user == permissions.PROVISIONER
        looks = administers or user == permissions.OPS
        rows = [(word, administers) for word in ADMINISTRATION]
        rows += [(word, False) for word in READING] + [(word, looks) for word in LOOKING]
        for stream in (*(stream.name for stream in STREAMS), "KV_other"):
            for word, expected in rows:
                subject = f"$JS.API.{word.format(stream)}"
                if await person.may_publish(subject, b"nonsense") is not expected:
                    wrong.append(f"{user} -> {subject}: expected {expected}")
    assert wrong == []


async def test_only_the_gateway_touches_the_revocations(people) -> None:
    stream = f"KV_{revocation.BUCKET}"
    for user, person in people.items():
        allowed = user == "auth-gateway"
        for subject in (f"$KV.{revocation.BUCKET}.x", f"$JS.API.STREAM.MSG.GET.{stream}"):
            assert await person.may_publish(subject, b"nonsense") is allowed, (user, subject)
        allowed = user == permissions.PROVISIONER
        for verb in ("DELETE", "PURGE", "UPDATE"):
            subject = f"$JS.API.STREAM.{verb}.{stream}"
            assert await person.may_publish(subject, b"nonsense") is allowed, (user, subject)


async def test_restricted_services_do_their_work(
    guarded_alone: Guarded, two_schemas: tuple[Database, Outbox, Outbox]
) -> None:
    """Outbox, consumer, dead letter, live signal and revocations, with nothing refused.

    chat-realtime asks for a link, track-unfurl answers one and buries the other.
    """
    server, seeds = guarded_alone.server, guarded_alone.seeds
    database, of_chat, of_unfurl = two_schemas
    buses = {name: Bus(server.url, service=name, nkey_seed=seeds[name]) for name in SERVICES}
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
            buses["chat-realtime"],
            of_chat,
            database,
            (Subscription(TrackResolved, attach, "chat-realtime.cards"),),
        ),
        run_messaging(
            buses["track-unfurl"],
            of_unfurl,
            database,
            (Subscription(UnfurlResolve, resolve, "track-unfurl.links"),),
        ),
    ):
        chat = buses["chat-realtime"]
        await chat.subscribe_live(LIVE[0], lambda _, payload: heard.put_nowait(payload))
        await chat.publish_live(LIVE[0], b"frame")
        assert await asyncio.wait_for(heard.get(), 5) == b"frame"
        async with database.begin() as tx:
            await of_chat.add(tx, ASKED)
            await of_chat.add(tx, UNANSWERABLE)
        assert await asyncio.wait_for(answered.get(), 20) == ANSWER

        looking = await connect(guarded_alone, permissions.OPS)
        js = looking.client.jetstream()

        async def is_settled() -> bool:
            """Both commands are gone from the queue, one of them to the dead letters."""
            buried = (await js.stream_info("DLQ")).state.messages
            left = (await js.stream_info("CMD_UNFURL")).state.messages
            return (buried, left) == (1, 0)

        await eventually(is_settled)
        await looking.client.close()

    await use_revocations(buses["auth-gateway"])
    assert "Permissions Violation" not in server.log_file.read_text()


async def use_revocations(bus: Bus) -> None:
    """Two gateways: one makes the bucket, the other watches, and both read it from the start."""
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
