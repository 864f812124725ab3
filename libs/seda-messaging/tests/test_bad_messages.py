"""What cannot be taken goes to the dead letters with the reason, and the next one is not kept."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from seda_contracts.base import BODY_BYTES_MAX
from seda_contracts.envelope import headers_of
from seda_contracts.events.crawl import CrawlFetch
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_messaging import Delivery, Subscription
from seda_messaging.consumer import SERVER_DELIVERIES_MAX
from seda_messaging.provision import provision
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

CONSUMER = "track-unfurl.links"
DLQ = f"seda.dlq.{CONSUMER}"
Messaging = Callable[..., AbstractAsyncContextManager[None]]
GOOD = UnfurlResolve(link_id=link_id("good"), url="good")
BAD = UnfurlResolve(link_id=link_id("bad"), url="bad")


def headers(contract: UnfurlResolve, **change: str) -> dict[str, str]:
    made = headers_of(contract, event_id=uuid4(), service="chat-realtime", at=utc_now())
    return made | {f"ce-{name}": value for name, value in change.items()}


@pytest.fixture
def taken() -> list[str]:
    return []


@pytest.fixture
def subscription(taken: list[str]) -> Subscription:
    async def take(event: UnfurlResolve, delivery: Delivery) -> None:
        taken.append(event.url)

    return Subscription(UnfurlResolve, take, consumer=CONSUMER)


async def letter(js: JetStreamContext) -> RawStreamMsg:
    async def is_there() -> bool:
        return (await js.stream_info("DLQ")).state.messages > 0

    await eventually(is_there)
    return await js.get_last_msg("DLQ", DLQ)


def told(found: RawStreamMsg) -> dict[str, str]:
    assert found.headers is not None
    return found.headers


async def publish_good(js: JetStreamContext) -> None:
    await js.publish(GOOD.subject(), GOOD.encode(), headers=headers(GOOD))


@pytest.mark.parametrize(
    ("body", "change", "reason"),
    [
        (b"{", {}, "undecodable"),
        (b"{}", {}, "undecodable"),
        (b"\xff\xfe", {}, "undecodable"),
        (b'{"link_id":7,"url":"x"}', {}, "undecodable"),
        (b"[" * 10_000, {}, "undecodable"),
        (GOOD.encode(), {}, "wrong_key"),
        (b" " * (BODY_BYTES_MAX + 1), {}, "oversize"),
        (None, {"id": "not-an-id"}, "malformed_envelope"),
        (None, {"time": "yesterday"}, "malformed_envelope"),
        (None, {"type": "unfurl.resolve.v2"}, "unknown_version"),
        (None, {"type": "chat.message.sent.v1"}, "type_mismatch"),
        (None, {"source": "/seda/crawler"}, "forged_producer"),
        (None, {"source": ""}, "forged_producer"),
    ],
)
async def test_a_bad_message_is_put_aside_and_the_next_one_is_taken(
    messaging: Messaging,
    subscription: Subscription,
    js: JetStreamContext,
    taken: list[str],
    body: bytes | None,
    change: dict[str, str],
    reason: str,
) -> None:
    async with messaging(subscription):
        sent = headers(BAD, **change)
        await js.publish(BAD.subject(), body or BAD.encode(), headers=sent)
        await publish_good(js)
        found = await letter(js)
        await eventually(lambda: taken == ["good"])
    assert told(found)["seda-dead-reason"].startswith(reason)
    assert told(found)["seda-dead-subject"] == BAD.subject()
    assert told(found)["ce-id"] == sent["ce-id"]
    assert found.data == (body or BAD.encode())


async def test_a_key_that_would_be_two_tokens_or_a_wildcard_is_put_aside(
    messaging: Messaging, broker: EmbeddedNats, js: JetStreamContext
) -> None:
    await provision(broker.url, "crawler")
    asked = CrawlFetch(
        job_id=uuid4(), host_key="host", url="http://a.example", requested_by="admin"
    )
    reached: list[str] = []

    async def take(event: CrawlFetch, delivery: Delivery) -> None:
        reached.append(event.host_key)

    sent = headers_of(asked, event_id=uuid4(), service="crawler", at=utc_now())
    async with messaging(Subscription(CrawlFetch, take, consumer="crawler.jobs")):
        for host_key in ("*", "a.b", ">", "a b", ""):
            body = msgspec.structs.replace(asked, host_key=host_key).encode()
            await js.publish(asked.subject(), body, headers=sent | {"Nats-Msg-Id": uuid4().hex})
        await js.publish(asked.subject(), asked.encode(), headers=sent)
        await eventually(lambda: reached == ["host"])

        async def are_dead() -> bool:
            return bool((await js.stream_info("DLQ")).state.messages == 5)

        await eventually(are_dead)
    last = await js.get_last_msg("DLQ", "seda.dlq.crawler.jobs")
    assert told(last)["seda-dead-reason"] == "unsafe_key"


async def test_a_message_as_big_as_the_broker_takes_leaves_a_cut_letter(
    messaging: Messaging,
    subscription: Subscription,
    js: JetStreamContext,
    taken: list[str],
) -> None:
    """Its copy with the reason added is over the limit; the server would hang up on us for it."""
    async with messaging(subscription):
        sent = headers(BAD)
        head = sum(len(name) + len(value) + 4 for name, value in sent.items()) + 12
        body = b"x" * (1_048_576 - head)
        await js.publish(BAD.subject(), body, headers=sent)
        await publish_good(js)
        found = await letter(js)
        await eventually(lambda: taken == ["good"])
    assert told(found)["seda-dead-cut"] == str(len(body))
    assert found.data
    assert body.startswith(found.data)


async def test_without_any_header_it_is_put_aside(
    messaging: Messaging, subscription: Subscription, js: JetStreamContext, taken: list[str]
) -> None:
    async with messaging(subscription):
        await js.publish(BAD.subject(), BAD.encode())
        await publish_good(js)
        assert told(await letter(js))["seda-dead-reason"].startswith("malformed_envelope")
        await eventually(lambda: taken == ["good"])


@pytest.mark.parametrize("status", ["404", "408", "409", "503"])
async def test_a_message_that_looks_like_an_answer_of_the_broker_is_still_a_message(
    messaging: Messaging,
    subscription: Subscription,
    js: JetStreamContext,
    taken: list[str],
    status: str,
) -> None:
    async with messaging(subscription):
        sent = headers(BAD) | {"Status": status, "Description": "No Messages"}
        await js.publish(BAD.subject(), BAD.encode(), headers=sent)
        await eventually(lambda: taken == ["bad"])


@pytest.mark.parametrize(
    "block",
    [
        b"NATS/1.0 \xff\xfe\xff\r\n\r\n",
        b"NATS/1.0\r\n\xff\xff: \xff\r\n\r\n",
        b"NATS/1.0\r\nno colon at all\r\n\r\n",
        b"NATS/1.0\r\nce-id: a\r\nce-id: b\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
    ],
)
async def test_headers_that_cannot_be_read_do_not_make_the_service_deaf(
    messaging: Messaging,
    subscription: Subscription,
    broker: EmbeddedNats,
    js: JetStreamContext,
    taken: list[str],
    block: bytes,
) -> None:
    """The first of these ends the reading task of a bare nats-py client without a word."""
    async with messaging(subscription):
        await publish_raw(broker, BAD.subject(), block, BAD.encode())
        await publish_good(js)
        await eventually(lambda: taken == ["good"])
        assert told(await letter(js))["seda-dead-reason"].startswith("malformed_envelope")


async def publish_raw(broker: EmbeddedNats, subject: str, block: bytes, body: bytes) -> None:
    """HPUB by hand: a client library would not let this through."""
    url = urlsplit(broker.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    await reader.readline()
    options = json.dumps({"verbose": False, "headers": True}).encode()
    writer.write(b"CONNECT " + options + b"\r\n")
    sizes = f"{len(block)} {len(block) + len(body)}"
    writer.write(f"HPUB {subject} {sizes}\r\n".encode() + block + body + b"\r\nPING\r\n")
    await writer.drain()
    while (await reader.readline()).strip() != b"PONG":
        pass
    writer.close()
    await writer.wait_closed()


async def deliver_and_drop(js: JetStreamContext, times: int) -> None:
    """As processes would that die of the message: each takes it, none answers."""
    client = js._nc
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    for _ in range(times):
        request = json.dumps({"batch": 1, "expires": 5_000_000_000}).encode()
        subject = "$JS.API.CONSUMER.MSG.NEXT.CMD_UNFURL.track-unfurl_links"
        await client.publish(subject, request, reply=inbox)
        message: Msg = await subscription.next_msg(5)
        await message.nak()
    await subscription.unsubscribe()


async def test_what_kills_every_process_that_takes_it_ends_in_the_dead_letters(
    messaging: Messaging, subscription: Subscription, js: JetStreamContext, taken: list[str]
) -> None:
    await js.publish(BAD.subject(), BAD.encode(), headers=headers(BAD))
    await deliver_and_drop(js, SERVER_DELIVERIES_MAX - 1)
    async with messaging(subscription):
        found = await letter(js)
    assert told(found)["seda-dead-reason"] == f"unfinished after {SERVER_DELIVERIES_MAX} deliveries"
    assert taken == []


async def test_what_the_broker_itself_gives_up_is_kept_by_the_advisories(
    messaging: Messaging, subscription: Subscription, js: JetStreamContext, taken: list[str]
) -> None:
    await js.publish(BAD.subject(), BAD.encode(), headers=headers(BAD))
    await deliver_and_drop(js, SERVER_DELIVERIES_MAX)

    async def advice() -> list[dict[str, Any]]:
        state = (await js.stream_info("ADVISORY")).state
        messages = [
            await js.get_msg("ADVISORY", sequence)
            for sequence in range(max(1, state.first_seq), state.last_seq + 1)
        ]
        return [json.loads(message.data or b"") for message in messages]

    async with messaging(subscription):
        (given_up,) = await eventually(advice)
    assert taken == []
    assert given_up["stream"] == "CMD_UNFURL"
    assert given_up["consumer"] == "track-unfurl_links"
    assert given_up["stream_seq"] == 1
    assert given_up["deliveries"] == SERVER_DELIVERIES_MAX


async def test_the_same_event_sent_again_and_dead_again_makes_another_letter(
    messaging: Messaging, subscription: Subscription, js: JetStreamContext
) -> None:
    """The broker drops a second letter of one delivery, never one of a second delivery."""
    sent = headers(BAD, source="/seda/nobody")
    del sent["Nats-Msg-Id"]

    async def are_two() -> bool:
        return bool((await js.stream_info("DLQ")).state.messages == 2)

    async with messaging(subscription):
        for _ in range(2):
            await js.publish(BAD.subject(), BAD.encode(), headers=sent)
        await eventually(are_two)
