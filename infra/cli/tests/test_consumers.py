"""`seda consumers`: the broker's consumers beside those of the contracts."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from seda_contracts.base import Contract
from seda_contracts.events.chat import MessageSent, ReactionAdded
from seda_contracts.registry import REGISTRY

Seda = Callable[..., Awaitable[Any]]
Publish = Callable[..., Awaitable[Any]]
Example = Callable[[type[Contract]], Any]


async def rows(seda: Seda, *words: str) -> dict[str, Any]:
    return {row["consumer"]: row for row in (await seda("consumers", *words, "--json")).json}


async def test_every_declared_consumer_is_shown_with_what_it_has_before_it(
    seda: Seda, js: JetStreamContext, publish: Publish, example: Example
) -> None:
    for contract in (MessageSent, MessageSent, ReactionAdded):
        await publish(example(contract))
    pull = await js.pull_subscribe_bind("track-unfurl_shares", stream="CHAT")
    (taken,) = await pull.fetch(1)
    found = await rows(seda)
    assert set(found) == {consumer for entry in REGISTRY for consumer in entry.consumers}
    assert {row["state"] for row in found.values()} == {"ok"}
    shares = found["track-unfurl.shares"]
    assert (shares["waiting"], shares["in_hand"], shares["stream"]) == (2, 1, "CHAT")
    assert shares["last_delivered_at"]
    await taken.ack()


async def test_a_service_is_named_in_short_and_a_doubtful_name_is_not_guessed(
    seda: Seda, js: JetStreamContext
) -> None:
    for word in ("chat", "chat-realtime", "chat_realtime"):
        assert all(name.startswith("chat-realtime.") for name in await rows(seda, word))
    said = await seda("consumers", "xyz", expect=2)
    assert "There is: auth-gateway" in said.errors
    assert (await seda("consumers", "", expect=2)).errors.count("\n") == 1


async def test_what_is_missing_stale_or_nobody_s_is_marked_with_the_next_step(
    seda: Seda, js: JetStreamContext
) -> None:
    await js.delete_consumer("CMD_CRAWL", "crawler_jobs")
    await js.add_consumer("CHAT", ConsumerConfig(durable_name="report"))
    await js.delete_consumer("CHAT", "track-unfurl_shares")
    await js.add_consumer(
        "CHAT",
        ConsumerConfig(
            durable_name="track-unfurl_shares", filter_subject=MessageSent.subject_filter()
        ),
    )
    found = await rows(seda)
    assert found["crawler.jobs"]["state"] == "missing"
    assert found["report"]["state"] == "undeclared"
    assert found["track-unfurl.shares"]["state"] == "stale"
    said = await seda("consumers", "crawler")
    assert "python -m crawler migrate" in said.errors


async def test_a_broker_without_streams_has_every_consumer_missing(seda: Seda) -> None:
    assert {row["state"] for row in (await rows(seda)).values()} == {"missing"}


async def test_a_table_is_aligned(seda: Seda, js: JetStreamContext) -> None:
    lines = (await seda("consumers")).out.splitlines()
    column = lines[0].index("stream")
    assert {line[column - 1] for line in lines} == {" "}
    assert all(re.match(r"\S", line[column]) for line in lines)


async def test_a_paused_consumer_is_shown_and_goes_on_when_told(
    seda: Seda, js: JetStreamContext
) -> None:
    await seda("consumers", "pause", "track-unfurl.shares", "--for", "1h")
    assert (await rows(seda))["track-unfurl.shares"]["state"] == "paused"
    await seda("consumers", "resume", "track-unfurl.shares")
    assert (await rows(seda))["track-unfurl.shares"]["state"] == "ok"


@pytest.mark.parametrize(
    "words", [("track-unfurl.share",), ("track-unfurl.shares", "--for", "2d"), ("x", "--for", "-1")]
)
async def test_a_pause_that_cannot_be_meant_is_refused(seda: Seda, words: tuple[str, ...]) -> None:
    assert (await seda("consumers", "pause", *words, expect=2)).errors.count("\n") == 1
