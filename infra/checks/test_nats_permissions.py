"""infra/nats/permissions.conf on a real server: who may say, hear, take and administer what.

A refusal reaches a client as an error beside its connection, and looks like a time-out to whoever
waits for an answer: a permission that is missing is found here or in production.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal
from uuid import uuid4

import nats as nats_client
import pytest
from auth_gateway.sessions import revocation
from nats.aio.client import Client
from nats.errors import Error as NatsError
from seda_contracts import permissions
from seda_contracts.live import AUTHOR_SUBJECT, room_subject, user_subject
from seda_contracts.registry import READERS, REGISTRY, durable_name
from seda_contracts.streams import BUCKETS, NETS, STREAMS
from seda_messaging.broker_keys import new_seed, public_keys
from seda_messaging.provision import provision
from seda_testkit.nats import EmbeddedNats

CONFIGURATION = Path("infra/nats/permissions.conf")
SERVICES = permissions.services()
DURABLES = {
    c: stream for service in SERVICES for c, stream in permissions.durables_of(service).items()
}
NO_SERVICES = (permissions.PROVISIONER, permissions.OPS, permissions.OPERATOR)
LIVE = (room_subject(uuid4()), user_subject(uuid4()), AUTHOR_SUBJECT)


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

    async def may(self, attempt: "Attempt") -> bool:
        if attempt.verb == "hear":
            return await self.may_subscribe(attempt.subject)
        return await self.may_publish(attempt.subject, attempt.payload)

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
    seeds = {user: new_seed() for user in permissions.users()}
    configuration = (root / CONFIGURATION).read_text()
    return Guarded(EmbeddedNats(extra_config=configuration, env=public_keys(seeds)), seeds)


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
async def people(guarded: Guarded) -> AsyncIterator[dict[str, Person]]:
    found = {user: await connect(guarded, user) for user in permissions.users()}
    yield found
    for person in found.values():
        await person.client.close()


def test_the_configuration_is_what_the_contracts_say(root: Path) -> None:
    """`make generate` writes it anew."""
    assert (root / CONFIGURATION).read_text() == permissions.configuration(permissions.users())


def test_users_are_the_services_and_three_that_are_none(services) -> None:
    assert set(SERVICES) == {service.name for service in services}
    readers = {reader.name for reader in READERS}
    assert set(permissions.users()) == {*SERVICES, *readers, *NO_SERVICES}
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


STRANGER = new_seed()


@pytest.mark.parametrize(
    "options", [{}, {"user": "chat-realtime", "password": "x"}, {"nkeys_seed_str": STRANGER}]
)
async def test_who_is_not_known_is_not_let_in(guarded: Guarded, options: dict[str, str]) -> None:
    client = Client()
    with pytest.raises(NatsError, match=r"(?i)authorization violation"):
        await client.connect(guarded.server.url, allow_reconnect=False, **options)
    await client.close()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One user, one subject, and whether the server must let it pass."""

    user: str
    verb: Literal["say", "hear"]
    subject: str
    expected: bool
    payload: bytes = b"{}"

    def __str__(self) -> str:
        return f"{self.user} {self.verb}s {self.subject}, expected {self.expected}"


USERS = tuple(permissions.users())
PEOPLE = (permissions.OPS, permissions.OPERATOR)
BUCKET = f"KV_{revocation.BUCKET}"
NONSENSE = b"nonsense"
"""The server answers what is permitted with an error, and changes nothing."""


def types() -> Iterator[Attempt]:
    """Only its producers say a type; only people hear one that passes."""
    for user, entry in product(USERS, REGISTRY):
        every = entry.contract.subject_filter()
        may_say = user in entry.producers or user == permissions.OPERATOR
        yield Attempt(user, "say", every.replace("*", f"key-{user}"), may_say)
        yield Attempt(user, "hear", every, user in PEOPLE)


def almost_types() -> Iterator[Attempt]:
    """A key of two tokens, no key, another version, another word: nobody's but the operator's."""
    for user, entry in product(USERS, REGISTRY):
        bare = entry.contract.subject_filter().removesuffix(".*")
        for subject in (f"{bare}.a.b", bare, f"{bare}9.a"):
            yield Attempt(user, "say", subject, user == permissions.OPERATOR)


def live_signals() -> Iterator[Attempt]:
    for user, subject, verb in product(USERS, LIVE, ("say", "hear")):
        yield Attempt(user, verb, subject, user in permissions.LIVE)


def durables() -> Iterator[Attempt]:
    """Only its service takes from a consumer, settles, and writes its dead letters."""
    for user, (consumer, stream) in product(USERS, DURABLES.items()):
        durable, is_own = durable_name(consumer), consumer.startswith(f"{user}.")
        take = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        yield Attempt(user, "say", take, is_own, b'{"batch":1,"no_wait":true}')
        # Of a delivery that never was: the server lets it pass or refuses it, no more.
        yield Attempt(user, "say", f"$JS.ACK.{stream}.{durable}.1.999999.999999.1.0", is_own)
        yield Attempt(user, "say", f"seda.dlq.{consumer}", is_own)


def inboxes() -> Iterator[Attempt]:
    """Nobody hears another's answers, or answers in somebody's name."""
    for user, other in product(USERS, USERS):
        inbox = permissions.inbox(other)
        yield Attempt(user, "hear", inbox, user == other)
        yield Attempt(user, "say", inbox.replace(">", "answer"), False)


WILDCARDS = (">", "*", "*.>", "seda.>", "seda.live.>", "_INBOX.>", "_R_.>")
OF_THE_SERVER = ("$SYS.>", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$JS.>")
OF_THE_STREAMS = ("$JS.API.>", "$JS.EVENT.>", "$JS.ACK.>", "$KV.>", "$SRV.>")
OF_OTHER_ACCOUNTS = ("$JS.SYS.API.STREAM.LIST", "$JS.other.API.STREAM.LIST", "$JS.API.ACCOUNT.INFO")


def wildcards() -> Iterator[Attempt]:
    """What would hear or reach what nobody granted."""
    for user in USERS:
        for subject in (*WILDCARDS, *OF_THE_SERVER, *OF_THE_STREAMS, *OF_OTHER_ACCOUNTS):
            yield Attempt(user, "hear", subject, False)
        for subject in (*OF_THE_SERVER, *OF_OTHER_ACCOUNTS):
            yield Attempt(user, "say", subject.replace(">", "x"), False)
        for subject in (*permissions.DURABLE, "seda.dlq.>"):
            yield Attempt(user, "hear", subject, user in PEOPLE)


def administration() -> Iterator[Attempt]:
    """Only the provisioner administers; it and people look; people read; one of them repairs."""
    administering = (
        *(f"STREAM.{verb}.{{0}}" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE")),
        "CONSUMER.CREATE.{0}.own.seda.>",
        "CONSUMER.DURABLE.CREATE.{0}.own",
        "CONSUMER.DELETE.{0}.own",
    )
    reading = ("STREAM.MSG.GET.{0}", "DIRECT.GET.{0}", "DIRECT.GET.{0}.seda.x")
    looking = ("STREAM.INFO.{0}", "CONSUMER.LIST.{0}", "CONSUMER.INFO.{0}.own")
    nobodys = ("STREAM.SNAPSHOT.{0}", "STREAM.RESTORE.{0}")
    for user, stream in product(USERS, [stream.name for stream in STREAMS]):
        is_provisioner, is_person = user == permissions.PROVISIONER, user in PEOPLE
        deletes = user == permissions.OPERATOR and stream in NETS
        for words, expected in (
            (administering, is_provisioner),
            (looking, is_provisioner or is_person),
            (reading, is_person),
            (("STREAM.MSG.DELETE.{0}",), deletes),
            (("CONSUMER.PAUSE.{0}.own",), user == permissions.OPERATOR),
            (nobodys, False),
        ):
            for word in words:
                yield Attempt(user, "say", f"$JS.API.{word.format(stream)}", expected, NONSENSE)


def buckets() -> Iterator[Attempt]:
    """The revocations are the gateway's alone; a bucket nobody declared is nobody's."""
    using = (
        f"$KV.{revocation.BUCKET}.x",
        f"$JS.API.STREAM.MSG.GET.{BUCKET}",
        f"$JS.API.DIRECT.GET.{BUCKET}.$KV.{revocation.BUCKET}.x",
        f"$JS.FC.{BUCKET}.x.y",
    )
    for user in USERS:
        for subject in using:
            yield Attempt(user, "say", subject, user == "auth-gateway", NONSENSE)
            yield Attempt(user, "say", subject.replace(revocation.BUCKET, "other"), False, NONSENSE)
        yield Attempt(user, "hear", f"$KV.{revocation.BUCKET}.>", False)
        for verb in ("CREATE", "UPDATE", "DELETE", "PURGE"):
            subject = f"$JS.API.STREAM.{verb}.{BUCKET}"
            yield Attempt(user, "say", subject, user == permissions.PROVISIONER, NONSENSE)


AREAS: tuple[Callable[[], Iterator[Attempt]], ...] = (
    almost_types,
    live_signals,
    durables,
    inboxes,
    wildcards,
    administration,
    buckets,
)


def test_no_attempt_is_counted_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """And how many there are, to be seen whenever this runs."""
    matrix = [attempt for area in (types, *AREAS) for attempt in area()]
    allowed = sum(attempt.expected for attempt in matrix)
    with capsys.disabled():
        print(f"\n{len(USERS)} users, {len(matrix)} attempts: {allowed} allowed, the rest refused")
    assert len(set(matrix)) == len(matrix), "an attempt is counted twice"


@pytest.mark.parametrize("area", AREAS, ids=lambda area: str(area.__name__))
async def test_attack_103_and_107_who_may_say_and_hear_what(
    area: Callable[[], Iterator[Attempt]], people
) -> None:
    wrong = [
        str(attempt)
        for attempt in area()
        if await people[attempt.user].may(attempt) is not attempt.expected
    ]
    assert wrong == []


async def test_attack_102_only_its_producers_publish_a_type(people) -> None:
    """And what was refused is in no stream: counted, not believed."""
    looking = people[permissions.OPS].client.jetstream()
    streams = {entry.stream.name for entry in REGISTRY}
    expected = {name: (await looking.stream_info(name)).state.messages for name in streams}
    stream_of = {entry.contract.subject_filter()[:-1]: entry.stream.name for entry in REGISTRY}
    wrong = []
    for attempt in types():
        if await people[attempt.user].may(attempt) is not attempt.expected:
            wrong.append(str(attempt))
        if attempt.verb == "say" and attempt.expected:
            expected[stream_of[attempt.subject.removesuffix(f"key-{attempt.user}")]] += 1
    assert wrong == []
    assert {n: (await looking.stream_info(n)).state.messages for n in streams} == expected


async def test_a_service_is_answered_by_its_own_durables(people) -> None:
    for consumer, stream in DURABLES.items():
        client = people[consumer.partition(".")[0]].client
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable_name(consumer)}"
        # An inbox per request: what is delivered bears the subject of the event, not of the reply.
        request = b'{"batch":1,"no_wait":true}'
        answer = await client.request(subject, request, timeout=5, old_style=True)
        status = (answer.headers or {}).get("Status")
        assert status in (None, "404"), (consumer, answer.headers)
