"""The server answers a request wherever its asker says: only accounts keep answers from others.

It holds what a user says against the user's list, but not the reply subject that comes with it.
JetStream answers with stored messages, with a status that has no body (which is how a stream is
deleted) and with receipts, in the account of the asker (nats-server issue 8274). This is why a
service has an account of its own, which imports what it may say and nothing else.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import nats as nats_client
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from seda_contracts import permissions
from seda_contracts.registry import durable_name, produced_by
from seda_contracts.streams import STREAMS
from seda_devrunner.broker import guarded_nats
from seda_messaging.broker_keys import new_seed
from seda_messaging.provision import provision
from seda_testkit.eventually import eventually

USERS = permissions.users()
APART = tuple(user for user in USERS if USERS[user].account != permissions.ACCOUNT)
KEPT = "seda.evt.user.profile.created.v1.kept"
TARGETS = (
    "seda.evt.verification.request.approved.v1.x",
    "seda.evt.auth.session.revoked.v1.x",
    "seda.state.user.v1.x",
    "seda.live.author",
    "seda.dlq.nobody.nothing",
    "_INBOX_verification.x",
    "_INBOX_operator.x",
    "$KV.auth_revoked.x",
    "$JS.API.STREAM.DELETE.USER",
    "$JS.API.STREAM.PURGE.USER",
    "$JS.API.CONSUMER.DELETE.AUTH.user-artist_accounts",
)
"""Facts, snapshots, signals, dead letters, inboxes, revocations and administration of others."""


@dataclass(frozen=True, slots=True)
class Guarded:
    url: str
    seeds: dict[str, str]
    clients: list[Client]

    async def connect(self, user: str, *, inbox_of: str | None = None) -> Client:
        prefix = f"_INBOX_{inbox_of or user}".encode()
        seed = self.seeds[user]
        client = await nats_client.connect(
            self.url, nkeys_seed_str=seed, inbox_prefix=prefix, error_cb=ignore
        )
        self.clients.append(client)
        return client


async def ignore(error: Exception) -> None:
    """Refusals are expected here; what arrives in spite of them is looked at."""


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    seeds = {user: new_seed() for user in USERS}
    with guarded_nats(tmp_path, USERS, seeds) as server:
        for service in permissions.services():
            await provision(server.url, service, nkey_seed=seeds[permissions.PROVISIONER])
        made = Guarded(server.url, seeds, [])
        yield made
        for client in made.clients:
            await client.close()


def says(service: str) -> set[str]:
    """Of each type it produces, one message under the key `own`."""
    return {e.contract.subject_filter().replace("*", "own") for e in produced_by(service)}


def asks(service: str) -> Iterator[tuple[str, bytes]]:
    """All that a service may say and JetStream answers: with messages, a status or a receipt."""
    yield from ((subject, b"") for subject in says(service))
    for consumer, stream in permissions.durables_of(service).items():
        yield f"seda.dlq.{consumer}", b""
        take = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable_name(consumer)}"
        # The second time the queue is empty.
        yield from 2 * [(take, b'{"batch":1000,"no_wait":true}')]
        yield from ((take, request) for request in (b'{"batch":1,"expires":1}', b"nonsense"))


async def stored(js: JetStreamContext) -> set[str]:
    """Subjects of all that is kept, but for what the server itself says of deliveries.

    Raises NotFoundError when a stream is gone.
    """
    names = [stream.name for stream in STREAMS if stream.name != "ADVISORY"]
    infos = [await js.stream_info(name, subjects_filter=">") for name in names]
    return {subject for info in infos for subject in info.state.subjects or ()}


async def is_gone(js: JetStreamContext, stream: str) -> bool:
    try:
        await js.stream_info(stream)
    except NotFoundError:
        return True
    return False


async def test_no_answer_goes_where_its_asker_may_not_speak(
    guarded: Guarded, capsys: pytest.CaptureFixture[str]
) -> None:
    """At last auth-gateway asks, inside the platform's account because of its bucket, and hits: so
    this can fail, and what was asked before has been answered by then.
    """
    people = {user: await guarded.connect(user) for user in USERS}
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    for user, client in people.items():
        await client.subscribe(f"_INBOX_{user}.x", cb=hear)
    await people["chat-realtime"].subscribe("seda.live.author", cb=hear)
    js = people[permissions.OPS].jetstream()
    await people["user-artist"].jetstream().publish(KEPT, b"{}")
    attempts = [
        (user, *ask, target)
        for user in APART
        for ask, target in product(asks(user), TARGETS)
        if target not in (f"_INBOX_{user}.x", *USERS[user].subscribe)
    ]
    allowed = {KEPT} | {subject for _, subject, _, _ in attempts if "$" not in subject}
    for user, subject, payload, reply in attempts:
        await people[user].publish(subject, payload, reply)

    take = "$JS.API.CONSUMER.MSG.NEXT.AUTH.auth-gateway_revocations"
    for client in people.values():
        await client.flush()
    await people["auth-gateway"].publish(take, b'{"no_wait":true}', "$JS.API.STREAM.DELETE.DLQ")
    await eventually(lambda: is_gone(js, "DLQ"))
    await provision(guarded.url, "crawler", nkey_seed=guarded.seeds[permissions.PROVISIONER])
    there = await stored(js)
    assert KEPT in there
    assert there <= allowed
    assert await js.consumer_info("AUTH", "user-artist_accounts")
    assert heard == []
    with capsys.disabled():
        print(f"\n{len(attempts)} answers asked for where they may not go: none arrived")


async def test_anothers_key_gives_its_rights_whatever_name_is_said(guarded: Guarded) -> None:
    thief = await guarded.connect("crawler", inbox_of="chat-realtime")
    owner = await guarded.connect("chat-realtime")
    js = (await guarded.connect(permissions.OPS)).jetstream()
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    for subject in ("seda.live.author", "_INBOX_chat-realtime.>"):
        await thief.subscribe(subject, cb=hear)
    for subject in (*says("crawler"), *says("chat-realtime")):
        await thief.publish(subject, b"{}")
    await thief.flush()
    await owner.publish("seda.live.author", b"{}")
    await owner.publish("_INBOX_chat-realtime.x", b"{}")
    await owner.flush()
    await eventually(lambda: there(js, says("crawler")))
    assert await stored(js) == says("crawler")
    assert heard == []


async def there(js: JetStreamContext, subjects: set[str]) -> bool:
    return subjects <= await stored(js)
