"""`seda events`: what is shown is what the contracts and the broker say, and it steers nothing."""

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from nats.js import JetStreamContext
from seda_cli.documentation import delivery_class_meaning, fields_of, meaning_of
from seda_cli.events import find_type
from seda_contracts.base import Contract
from seda_contracts.events.chat import MessageSent, ReactionAdded
from seda_contracts.events.unfurl import UnfurlResolve
from seda_contracts.registry import REGISTRY
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

Seda = Callable[..., Awaitable[Any]]
Publish = Callable[..., Awaitable[Any]]
Example = Callable[[type[Contract]], Any]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


async def test_the_list_is_the_registry(seda: Seda) -> None:
    rows = (await seda("events", "--json")).json
    assert [row["type"] for row in rows] == [entry.contract.TYPE for entry in REGISTRY]
    sent = next(row for row in rows if row["type"] == MessageSent.TYPE)
    assert sent == {
        "type": "chat.message.sent.v1",
        "kind": "event",
        "producers": ["chat-realtime"],
        "consumers": ["track-unfurl.shares"],
        "stream": "CHAT",
        "delivery_class": "B",
        "personal_data": False,
    }
    shown = (await seda("events")).out.splitlines()
    assert len(shown) == len(REGISTRY) + 1


async def test_describe_says_what_stands_in_the_contract(seda: Seda) -> None:
    shown = (await seda("events", "describe", "chat.message.sent.v1")).out
    for expected in (
        "seda.evt.chat.message.sent.v1.<room_id>",
        "CHAT, kept 14 days",
        "What is shared there must not show anywhere public.",
        "links[].url",
        "a projection",
    ):
        assert expected in shown
    told = (await seda("events", "describe", "crawl.fetch.v1", "--json")).json
    fields = {field["name"]: field for field in told["fields"]}
    assert fields["url"]["required"]
    assert not fields["bypass_cache"]["required"]
    assert "host" in fields["host_key"]["meaning"]
    assert fields["requested_by"]["type"] == '"admin" | "track-unfurl" | "verification"'
    assert told["retention"] == "until it is done, at most a day"
    assert told["example"]["job_id"]


async def test_every_type_can_be_described_by_its_name_and_by_a_subject() -> None:
    for entry in REGISTRY:
        assert find_type(entry.contract.TYPE) is entry
        assert find_type(entry.contract.subject_filter().replace("*", "key")) is entry
        assert len(meaning_of(entry.contract)) > 10
        assert {f.name for f in fields_of(entry.contract)} >= set(entry.contract.__struct_fields__)
        assert delivery_class_meaning(entry.delivery_class)


async def test_a_mistyped_type_is_answered_with_the_one_that_was_meant(seda: Seda) -> None:
    said = await seda("events", "describe", "chat.mesage.sent.v1", expect=2)
    assert said.errors.count("\n") == 1
    assert "did you mean chat.message.sent.v1" in said.errors
    said = await seda("events", "tail", "--type", "chat.mesage.*", expect=2)
    assert "did you mean" in said.errors


async def test_the_history_is_shown_in_the_order_of_storing(
    seda: Seda, publish: Publish, example: Example
) -> None:
    sent, asked, reacted = (example(c) for c in (MessageSent, UnfurlResolve, ReactionAdded))
    for event in (sent, asked, reacted):
        await publish(event, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    said = await seda("events", "tail", "--since", "10m", "--no-follow", "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["type"] for row in rows] == [e.TYPE for e in (sent, asked, reacted)]
    assert rows[0]["data"] == json.loads(sent.encode())
    assert {row["trace_id"] for row in rows} == {TRACE}
    assert {row["problem"] for row in rows} == {""}
    assert [row["source"] for row in rows] == ["chat-realtime"] * 3


async def test_type_key_and_trace_choose(seda: Seda, publish: Publish, example: Example) -> None:
    one = example(MessageSent)
    other = msgspec.structs.replace(one, room_id=uuid4())
    for event in (one, other, example(UnfurlResolve)):
        await publish(event)
    await publish(other, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    async def shown(*words: str, expect: int = 0) -> int:
        said = await seda("events", "tail", "--since", "1h", "--no-follow", *words, expect=expect)
        return len(said.out.splitlines())

    assert await shown() == 4
    assert await shown("--type", "chat.message.*") == 3
    assert await shown("--key", str(one.room_id)) == 1
    assert await shown("--key", str(other.room_id), "--type", "chat.reaction.*", expect=1) == 0
    assert await shown("--trace", TRACE[:8]) == 1
    assert await shown("--trace", f"00-{TRACE}-00f067aa0ba902b7-01") == 1
    assert await shown("--count", "2") == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--key", "a.>"),
        ("--key", "*"),
        ("--trace", "nonsense"),
        ("--since", "yesterday"),
        ("--since", "999999999d"),
        ("--count", "0"),
        ("--no-follow",),
    ],
)
async def test_words_that_cannot_be_meant_are_refused_on_one_line(
    seda: Seda, words: tuple[str, ...]
) -> None:
    said = await seda("events", "tail", *words, expect=2)
    assert said.errors.count("\n") == 1
    assert said.out == ""


async def test_watching_a_queue_takes_nothing_from_it_and_ctrl_c_is_no_failure(
    seda: Any, js: JetStreamContext, publish: Publish, example: Example
) -> None:
    asked = example(UnfurlResolve)
    await publish(asked)
    process = await seda.start("events", "tail", "--since", "1h", "--json")
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    later = msgspec.structs.replace(asked, link_id=uuid4())
    await publish(later)
    second = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert [first["key"], second["key"]] == [asked.key(), later.key()]
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors) == (0, b"")
    assert [c.name for c in await js.consumers_info("CMD_UNFURL")] == ["track-unfurl_links"]
    info = await js.consumer_info("CMD_UNFURL", "track-unfurl_links")
    assert (info.num_pending, info.num_ack_pending) == (2, 0)


async def test_what_is_said_while_history_is_read_is_told_once_and_not_missed(
    seda: Any, publish: Publish, example: Example
) -> None:
    process = await seda.start("events", "tail", "--since", "1h", "--json")
    told: list[int] = []

    async def listen() -> None:
        while line := await process.stdout.readline():
            told.append(json.loads(line)["data"]["seq"])

    listening = asyncio.create_task(listen())
    said = 0
    while len(told) < 500:
        await publish(msgspec.structs.replace(example(MessageSent), seq=said))
        said += 1
    await eventually(lambda: len(told) >= said)
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(listening, 20)
    await process.wait()
    assert sorted(told) == list(range(said))


async def test_a_tail_outlives_a_restart_of_the_broker(
    seda: Any, publish: Publish, example: Example, fresh_nats: EmbeddedNats
) -> None:
    before, after = (
        msgspec.structs.replace(example(MessageSent), room_id=uuid4()) for _ in range(2)
    )
    process = await seda.start("events", "tail", "--type", "chat.message.*")
    lines: list[str] = []

    async def listen() -> None:
        while line := await process.stdout.readline():
            lines.append(line.decode())

    async def is_heard(event: MessageSent) -> bool:
        with contextlib.suppress(OSError, TimeoutError):
            await publish(event)
        return event.key() in "".join(lines)

    listening = asyncio.create_task(listen())
    await eventually(lambda: is_heard(before))
    fresh_nats.kill()
    fresh_nats.start()
    remarks = [await asyncio.wait_for(process.stderr.readline(), 20) for _ in range(2)]
    assert b"away" in remarks[0]
    assert b"back" in remarks[1]
    await eventually(lambda: is_heard(after))
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(listening, 20)
    assert await process.wait() == 0


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\n\x7f\x00" + "wide 漢字"


async def test_nothing_in_an_event_can_steer_the_terminal(
    seda: Seda, js: JetStreamContext, publish: Publish, example: Example
) -> None:
    sent = example(MessageSent)
    await publish(sent, body=json.dumps({"text": HOSTILE}, ensure_ascii=False).encode())
    await publish(sent, body=HOSTILE.encode())
    await publish(sent, body=b"\xff\xfe" + HOSTILE.encode("utf-16"))
    await publish(sent, headers={"ce-source": "/seda/\x1b[2J", "ce-id": "\x9b\u202e"})
    for words in ((), ("--json",)):
        said = await seda("events", "tail", "--since", "1h", "--no-follow", *words)
        assert not CONTROL.search(said.out), repr(said.out)
        assert len(said.out.splitlines()) == 4


async def test_odd_bodies_are_shown_for_what_they_are(
    seda: Seda, js: JetStreamContext, publish: Publish, example: Example
) -> None:
    sent = example(MessageSent)
    await publish(sent, body=b'{"text": "' + b"x" * 1_000_000 + b'"}')
    await publish(sent, body=b"[" * 100_000)
    await publish(sent, body=b"{")
    await publish(sent, body=b"")
    await js.publish("seda.evt.chat.message.pinned.v1.k", b'{"a": 1}')
    await publish(sent, headers={"ce-type": "chat.message.edited.v1"})
    await publish(sent, headers={"Status": "404", "Nats-Sequence": "1", "Nats-Subject": "x"})
    said = await seda("events", "tail", "--since", "1h", "--no-follow", COLUMNS="150")
    lines = said.out.splitlines()
    assert len(lines) == 7
    assert max(map(len, lines)) < 200
    assert "undecodable" in lines[2]
    assert "unknown type chat.message.pinned.v1" in lines[4]
    assert "type_mismatch" in lines[5]
    assert "!" not in lines[6]
    rows = (await seda("events", "tail", "--since", "1h", "--no-follow", "--json")).out
    told = [json.loads(line) for line in rows.splitlines()]
    assert len(told[0]["data"]["text"]) == 1_000_000
    assert [row["data"] is None for row in told] == [False, True, True, True, False, False, False]
    assert told[6]["subject"] == sent.subject()


async def test_a_reader_that_has_seen_enough_is_no_failure(
    seda: Any, publish: Publish, example: Example
) -> None:
    for _ in range(3):
        await publish(example(MessageSent), body=b'"' + b"x" * 500_000 + b'"')
    process = await seda.start("events", "tail", "--since", "1h", "--no-follow", "--json")
    await asyncio.wait_for(process.stdout.read(10), 20)
    process.stdout._transport.close()
    errors = await asyncio.wait_for(process.stderr.read(), 20)
    assert (await process.wait(), errors) == (0, b"")
