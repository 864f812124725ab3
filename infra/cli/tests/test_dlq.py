"""`seda dlq`: what died is listed with its reason, and giving it back has one effect or is refused.

A real consumer takes what is given back, with its inbox in a real database.
"""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.events.chat import MessageSent
from seda_contracts.events.unfurl import UnfurlResolve
from seda_contracts.events.user import UserState
from seda_contracts.registry import BY_TYPE
from seda_db import Database
from seda_db.database import async_url
from seda_messaging import Bus, Outbox, Subscription, first_delivery, run_messaging
from seda_messaging.inbox import Delivery
from seda_messaging.reading import PermanentFailure
from seda_messaging.tables import add_messaging_tables
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres
from seda_testkit.provision import in_database
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.ext.asyncio import create_async_engine

Publish = Callable[..., Awaitable[Any]]
Example = Callable[[type[Contract]], Any]
CONSUMER = "track-unfurl.links"
SCHEMA = "example"
metadata = MetaData(schema=SCHEMA)
add_messaging_tables(metadata)
effects = Table(
    "effect",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("note", String, nullable=False),
)


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    admin = await asyncpg.connect(postgres.admin_url)
    await admin.execute("DROP DATABASE IF EXISTS letters WITH (FORCE)")
    await admin.execute("CREATE DATABASE letters")
    await admin.close()
    url = in_database(postgres.admin_url, "letters")
    engine = create_async_engine(async_url(url))
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    made = Database(url)
    yield made
    await made.close()


class Unfurler:
    """track-unfurl, as far as `unfurl.resolve.v1`: one row per event that took effect."""

    def __init__(self, nats_url: str, database: Database) -> None:
        self._nats_url = nats_url
        self._database = database
        self.is_ill = False

    async def handle(self, event: UnfurlResolve, delivery: Delivery) -> None:
        async with self._database.begin() as tx:
            if await first_delivery(tx, delivery):
                await tx.execute(insert(effects).values(note=event.key()))
            if self.is_ill:
                raise PermanentFailure("no such provider")

    def works(self) -> Any:
        bus = Bus(self._nats_url, service="track-unfurl")
        outbox = Outbox(metadata, service="track-unfurl")
        subscription = Subscription(UnfurlResolve, self.handle, consumer=CONSUMER)
        return run_messaging(bus, outbox, self._database, [subscription])

    async def effects(self, event: UnfurlResolve) -> int:
        query = select(func.count()).where(effects.c.note == event.key())
        async with self._database.begin() as tx:
            return int(await tx.scalar(query) or 0)


@pytest.fixture
def unfurler(fresh_nats: EmbeddedNats, database: Database) -> Unfurler:
    return Unfurler(fresh_nats.url, database)


@pytest.fixture
def asked(example: Example) -> UnfurlResolve:
    command: UnfurlResolve = msgspec.structs.replace(example(UnfurlResolve), link_id=uuid4())
    return command


async def stored(js: JetStreamContext, stream: str) -> int:
    return (await js.stream_info(stream)).state.messages


async def die(js: JetStreamContext, publish: Publish, unfurler: Unfurler, event: Contract) -> None:
    """Let one event end as a dead letter."""
    before = await stored(js, "DLQ")
    unfurler.is_ill = True
    async with unfurler.works():
        await publish(event)

        async def is_buried() -> bool:
            return await stored(js, "DLQ") == before + 1 and await stored(js, "CMD_UNFURL") == 0

        await eventually(is_buried)
    unfurler.is_ill = False


async def bury(
    js: JetStreamContext, event: Contract, *, consumer: str = CONSUMER, **changes: Any
) -> str:
    """A dead letter of our own making. Returns its number."""
    producer = BY_TYPE[event.TYPE].producer
    headers = headers_of(event, event_id=uuid4(), service=producer, at=utc_now()) | {
        "seda-dead-subject": changes.get("subject", event.subject()),
        "seda-dead-reason": changes.get("reason", "RuntimeError after 8 attempts"),
        "seda-dead-sequence": str(changes.get("sequence", 1)),
        "seda-dead-attempts": "8",
        "Nats-Msg-Id": str(uuid4()),
    }
    body = changes.get("body", event.encode())
    headers |= changes.get("headers", {})
    return str((await js.publish(f"seda.dlq.{consumer}", body, headers=headers)).seq)


async def test_no_dead_letters_is_said_and_found_nothing(seda: Any, js: JetStreamContext) -> None:
    said = await seda("dlq", expect=1)
    assert said.errors == "no dead letters\n"
    assert (await seda("dlq", "ls", "--json", expect=1)).json == []


async def test_a_letter_is_listed_shown_given_back_and_has_its_effect_once(
    seda: Any, js: JetStreamContext, publish: Publish, unfurler: Unfurler, asked: UnfurlResolve
) -> None:
    await die(js, publish, unfurler, asked)
    (row,) = (await seda("dlq", "ls", "--json")).json
    assert (row["number"], row["consumer"], row["type"]) == ("1", CONSUMER, UnfurlResolve.TYPE)
    assert (row["reason"], row["attempts"], row["stream"]) == ("no such provider", 1, "CMD_UNFURL")
    shown = (await seda("dlq", "show", "1")).out
    for expected in ("no such provider", asked.subject(), str(asked.link_id), "seda dlq retry 1"):
        assert expected in shown
    async with unfurler.works():
        (done,) = (await seda.process("dlq", "retry", "1", "--json")).json
        assert done["outcome"] == "given_back"

        async def has_effect() -> bool:
            return await unfurler.effects(asked) == 1

        await eventually(has_effect)
    assert await stored(js, "DLQ") == 0
    said = await seda("dlq", "retry", "1", expect=1)
    assert "no dead letter 1" in said.errors


async def test_killed_between_publishing_and_deleting_it_doubles_nothing(
    seda: Any, js: JetStreamContext, publish: Publish, unfurler: Unfurler, asked: UnfurlResolve
) -> None:
    await die(js, publish, unfurler, asked)
    killing = "dlq.after_publish:kill:1"
    await seda.process("dlq", "retry", "1", expect=-signal.SIGKILL, SEDA_FAILPOINT=killing)
    assert (await stored(js, "CMD_UNFURL"), await stored(js, "DLQ")) == (1, 1)
    (done,) = (await seda("dlq", "retry", "1", "--json")).json
    assert done["outcome"] == "was_given_back"
    assert (await stored(js, "CMD_UNFURL"), await stored(js, "DLQ")) == (1, 0)


async def test_a_copy_the_broker_no_longer_recognises_is_stopped_by_the_inbox(
    seda: Any, js: JetStreamContext, publish: Publish, unfurler: Unfurler, asked: UnfurlResolve
) -> None:
    """As when the second try comes after the window in which the broker drops copies."""
    await die(js, publish, unfurler, asked)
    killing = "dlq.after_publish:kill:1"
    await seda.process("dlq", "retry", "1", expect=-signal.SIGKILL, SEDA_FAILPOINT=killing)
    config = (await js.stream_info("CMD_UNFURL")).config
    await js.update_stream(config, duplicate_window=0.1)
    async with unfurler.works():
        await eventually(lambda: is_empty(js, "CMD_UNFURL"))

        async def is_given_back() -> bool:
            await seda("dlq", "retry", "1", "--json")
            return await stored(js, "DLQ") == 0

        await eventually(is_given_back)
        await eventually(lambda: is_empty(js, "CMD_UNFURL"))
    assert await unfurler.effects(asked) == 1


async def is_empty(js: JetStreamContext, stream: str) -> bool:
    return await stored(js, stream) == 0


async def test_what_dies_again_is_a_new_letter_and_can_be_tried_again(
    seda: Any, js: JetStreamContext, publish: Publish, unfurler: Unfurler, asked: UnfurlResolve
) -> None:
    await die(js, publish, unfurler, asked)
    unfurler.is_ill = True
    async with unfurler.works():
        await seda("dlq", "retry", "--all", "--yes")

        async def is_back() -> bool:
            return await stored(js, "DLQ") == 1 and await stored(js, "CMD_UNFURL") == 0

        await eventually(is_back)
        (row,) = (await seda.process("dlq", "ls", "--json")).json
        assert row["number"] == "2"
        unfurler.is_ill = False
        await seda("dlq", "retry", "2")

        async def has_effect() -> bool:
            return await unfurler.effects(asked) == 1

        await eventually(has_effect)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": b"{"}, "undecodable"),
        ({"body": b'{"url": "", "x": ' + b"[" * 100_000}, "nested too deep"),
        ({"body": b"\xff" * 900_000}, "oversize"),
        ({"subject": "seda.cmd.unfurl.resolve.v9.key"}, "unknown type"),
        ({"subject": "$JS.API.STREAM.DELETE.CHAT"}, "unknown type"),
        ({"subject": "seda.cmd.unfurl.resolve.v1.*"}, "wrong_key"),
        ({"subject": ""}, "no longer"),
        ({"headers": {"ce-type": "unfurl.resolve.v2"}}, "unknown_version"),
        ({"headers": {"ce-id": "no id"}}, "malformed_envelope"),
        ({"headers": {"ce-source": "/seda/crawler"}}, "forged_producer"),
        ({"headers": {"seda-dead-cut": "2000000"}}, "only the beginning"),
        ({"consumer": "track-unfurl.shares"}, "does not take"),
    ],
)
async def test_what_would_only_die_again_is_refused_with_the_reason(
    seda: Any, js: JetStreamContext, asked: UnfurlResolve, change: dict[str, Any], reason: str
) -> None:
    number = await bury(js, asked, **change)
    (row,) = (await seda("dlq", "retry", number, "--json", expect=1)).json
    assert row["outcome"] == "refused"
    assert reason in row["detail"]
    shown = (await seda("dlq", "show", number)).out
    assert f"seda dlq drop {number}" in shown
    assert len(shown) < 12_000
    assert (await stored(js, "CMD_UNFURL"), await stored(js, "DLQ")) == (0, 1)
    await seda("dlq", "drop", number, expect=2)
    await seda("dlq", "drop", number, "--yes")
    assert await stored(js, "DLQ") == 0


async def test_an_older_snapshot_does_not_replace_a_newer_one(
    seda: Any, js: JetStreamContext, publish: Publish, example: Example
) -> None:
    old = example(UserState)
    new = msgspec.structs.replace(old, version=old.version + 1)
    await publish(new)
    number = await bury(js, old, consumer="chat-realtime.people")
    said = await seda("dlq", "retry", number, expect=1)
    assert "newer snapshot" in said.out
    await seda("dlq", "drop", number, "--yes")
    number = await bury(js, new, consumer="chat-realtime.people")
    await seda("dlq", "retry", number)
    last = await js.get_last_msg("STATE", new.subject())
    assert last.data == new.encode()


async def test_orders_to_the_broker_that_a_letter_carries_are_not_repeated(
    seda: Any, js: JetStreamContext, asked: UnfurlResolve
) -> None:
    """In capitals, because DLQ's own door would obey them as the broker writes them."""
    orders = {"NATS-EXPECTED-LAST-SEQUENCE": "99", "NATS-ROLLUP": "all", "X-KEPT": "yes"}
    number = await bury(js, asked, headers=orders)
    await seda("dlq", "retry", number)
    given = await js.get_last_msg("CMD_UNFURL", asked.subject())
    assert given.headers is not None
    assert {name.lower() for name in given.headers if name.lower().startswith("nats-")} == {
        "nats-msg-id"
    }
    assert not [name for name in given.headers if name.lower().startswith("seda-dead-")]
    assert given.headers["X-KEPT"] == "yes"


async def test_only_the_named_consumer_s_letters_are_given_back_and_only_when_agreed(
    seda: Any, js: JetStreamContext, asked: UnfurlResolve, example: Example
) -> None:
    await bury(js, asked)
    await bury(js, example(MessageSent), consumer="track-unfurl.shares")
    words = ("dlq", "retry", "--all", "--consumer", "track-unfurl.shares")
    assert "--yes" in (await seda(*words, expect=2)).errors
    (row,) = (await seda(*words, "--yes", "--json")).json
    assert row["number"] == "2"
    (left,) = (await seda("dlq", "ls", "--consumer", CONSUMER, "--json")).json
    assert left["number"] == "1"
    assert "did you mean" in (await seda("dlq", "--consumer", "track-unfurl.link", expect=2)).errors


@pytest.mark.parametrize(
    "words", [(), ("1", "--all"), ("1", "--consumer", CONSUMER), ("1", "2"), ("--frob",)]
)
async def test_a_retry_that_cannot_be_meant_is_refused(seda: Any, words: tuple[str, ...]) -> None:
    assert (await seda("dlq", "retry", *words, expect=2)).errors.count("\n") == 1


@pytest.mark.parametrize("number", ["7", "a7", "x", "-1", "1e3", "9" * 40, "a", "\x1b[2J"])
async def test_a_number_that_is_none_is_answered_plainly(
    seda: Any, js: JetStreamContext, number: str
) -> None:
    said = await seda("dlq", "show", "--", number, expect=1)
    assert "no dead letter" in said.errors
    assert "\x1b" not in said.errors


async def test_what_only_the_broker_gave_up_is_listed_and_given_back(
    seda: Any, js: JetStreamContext, publish: Publish, unfurler: Unfurler, asked: UnfurlResolve
) -> None:
    """As when every process that takes it dies: nobody is left to write a letter."""
    await exhaust(js, publish, asked)
    (row,) = (await seda("dlq", "ls", "--json")).json
    assert (row["number"], row["consumer"], row["sequence"]) == ("a1", CONSUMER, 1)
    assert "gave up" in row["reason"]
    assert str(asked.link_id) in (await seda("dlq", "show", "a1")).out
    async with unfurler.works():
        await seda("dlq", "retry", "--all", "--yes")

        async def has_effect() -> bool:
            return await unfurler.effects(asked) == 1

        await eventually(has_effect)
    assert (await seda("dlq", "--json", expect=1)).json == []


async def exhaust(js: JetStreamContext, publish: Publish, event: Contract) -> None:
    """Take it as often as the broker allows, without an answer."""
    config = (await js.consumer_info("CMD_UNFURL", "track-unfurl_links")).config
    await js.delete_consumer("CMD_UNFURL", "track-unfurl_links")
    short = ConsumerConfig(
        durable_name="track-unfurl_links",
        filter_subjects=config.filter_subjects,
        filter_subject=config.filter_subject,
        ack_wait=0.1,
        max_deliver=2,
    )
    await js.add_consumer("CMD_UNFURL", short)
    await publish(event)
    pull = await js.pull_subscribe_bind("track-unfurl_links", stream="CMD_UNFURL")
    for _ in range(2):
        await pull.fetch(1, timeout=5)
    with pytest.raises(TimeoutError):
        await pull.fetch(1, timeout=0.5)
    await eventually(lambda: has_pointer(js))


async def has_pointer(js: JetStreamContext) -> bool:
    return await stored(js, "ADVISORY") > 0


CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


async def test_nothing_in_a_letter_can_steer_the_terminal(
    seda: Any, js: JetStreamContext, asked: UnfurlResolve
) -> None:
    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    number = await bury(
        js,
        asked,
        body=evil.encode() * 1_000,
        reason=evil,
        headers={"x-evil": evil, "ce-id": evil, "traceparent": f"00-{evil}-1-01"},
    )
    for words in (("ls",), ("show", number)):
        for style in ((), ("--json",)):
            said = await seda("dlq", *words, *style)
            assert not CONTROL.search(said.out), repr(said.out)
    assert not CONTROL.search((await seda("dlq", "retry", number, expect=1)).out)
    assert len(json.loads((await seda("dlq", "ls", "--json")).out)) == 1


async def test_a_full_queue_refuses_a_retry_and_keeps_the_letter(
    seda: Any, js: JetStreamContext, asked: UnfurlResolve, publish: Publish, example: Example
) -> None:
    number = await bury(js, asked)
    await publish(example(UnfurlResolve))
    config = (await js.stream_info("CMD_UNFURL")).config
    await js.update_stream(config, max_msgs=1)
    said = await seda("dlq", "retry", number, expect=1)
    assert "maximum messages exceeded" in said.errors
    await js.update_stream(config, max_msgs=2)
    other = await bury(js, msgspec.structs.replace(asked, link_id=uuid4()))
    rows = (await seda("dlq", "retry", "--all", "--yes", "--json", expect=1)).json
    assert [(row["number"], row["outcome"]) for row in rows] == [
        (number, "given_back"),
        (other, "failed"),
    ]
    assert await stored(js, "DLQ") == 1


async def test_two_retries_at_once_publish_it_once(
    seda: Any, js: JetStreamContext, asked: UnfurlResolve
) -> None:
    number = await bury(js, asked)
    both = [await seda.start("dlq", "retry", number) for _ in range(2)]
    for process in both:
        await asyncio.wait_for(process.communicate(), 30)
    assert await stored(js, "CMD_UNFURL") == 1
    assert await stored(js, "DLQ") == 0
