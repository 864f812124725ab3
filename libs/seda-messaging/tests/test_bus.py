"""The connection: what is refused is loud, what is away is waited for, nothing hangs or spins."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from nats.js import JetStreamContext
from seda_contracts.events.unfurl import UnfurlResolve, link_id
from seda_messaging import Bus, BusUnavailable
from seda_messaging.errors import CredentialRefused, PublishRefused
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

SUBJECT = UnfurlResolve(link_id=link_id("a"), url="a").subject()
USERS = """
authorization { users: [
  { user: "chat", password: "%s", permissions: {
      publish: ["seda.live.room.*"], subscribe: ["_INBOX_chat.>"] } }
] }
"""


@pytest.fixture
async def bus(broker: EmbeddedNats) -> AsyncIterator[Bus]:
    bus = Bus(broker.url, service="chat-realtime")
    await bus.open()
    yield bus
    await bus.close()


def id_header(value: str) -> dict[str, str]:
    return {"Nats-Msg-Id": value}


async def test_a_second_copy_is_told_from_the_first_also_after_a_crash_of_the_broker(
    bus: Bus, broker: EmbeddedNats
) -> None:
    first = await bus.publish(SUBJECT, b"{}", id_header("one"))
    assert (first.stream, first.sequence, first.is_duplicate) == ("CMD_UNFURL", 1, False)
    assert (await bus.publish(SUBJECT, b"{}", id_header("one"))).is_duplicate
    back = bus.reconnected()
    broker.kill()
    broker.start()
    await asyncio.wait_for(back.wait(), 10)
    again = await bus.publish(SUBJECT, b"{}", id_header("one"))
    assert (again.sequence, again.is_duplicate) == (1, True)


async def test_nothing_confirmed_is_lost_by_a_broker_that_is_killed_twice(
    bus: Bus, broker: EmbeddedNats, js: JetStreamContext
) -> None:
    confirmed: list[str] = []

    async def publish_until_confirmed(name: str) -> None:
        while True:
            try:
                await bus.publish(SUBJECT, b"{}", id_header(name))
            except BusUnavailable:
                await asyncio.sleep(0.05)
            else:
                confirmed.append(name)
                return

    for _ in range(2):
        work = [asyncio.create_task(publish_until_confirmed(uuid4().hex)) for _ in range(30)]
        broker.kill()
        broker.start()
        await asyncio.wait_for(asyncio.gather(*work), 30)

    async def stored() -> int:
        return int((await js.stream_info("CMD_UNFURL")).state.messages)

    assert len(confirmed) == 60
    assert await stored() == 60, "lost, or stored twice under one id"


async def test_a_message_over_the_limit_is_refused_here_and_the_connection_lives(
    bus: Bus,
) -> None:
    """The client counts only the payload; the server counts headers too and hangs up for good."""
    for payload in (b"x" * (1_048_576 - 20), b"x" * 2_000_000):
        with pytest.raises(PublishRefused):
            await bus.publish(SUBJECT, payload, id_header("too big"))
    await bus.publish(SUBJECT, b"{}", id_header("small"))
    assert not bus.closed.is_set()


async def test_a_subject_that_no_stream_keeps_is_not_confirmed(bus: Bus) -> None:
    with pytest.raises(BusUnavailable):
        await bus.publish("seda.evt.nobody.keeps.v1.a", b"{}", {})


async def test_a_refused_permission_makes_the_service_unready(fresh_nats: EmbeddedNats) -> None:
    """To the caller a refusal looks like a time-out, or like nothing at all."""
    guarded = EmbeddedNats(extra_config=USERS % "secret")
    with guarded:
        bus = Bus(guarded.url.replace("//", "//chat:secret@"), service="chat")
        await bus.open()
        await bus.publish_live("seda.live.room.a", b"{}")
        await bus.flush()
        assert await bus.ready()
        await bus.publish_live("seda.live.user.a", b"{}")
        await bus.flush()

        async def is_unready() -> bool:
            return bus.is_connected and not await bus.ready()

        await eventually(is_unready)
        await bus.close()


@pytest.mark.parametrize("user", ["", "chat:wrong@", "nobody:secret@"])
async def test_a_wrong_credential_is_told_at_once_and_by_name(user: str) -> None:
    with EmbeddedNats(extra_config=USERS % "secret") as guarded:
        bus = Bus(guarded.url.replace("//", f"//{user}"), service="chat")
        with pytest.raises(CredentialRefused, match="credential of chat"):
            await asyncio.wait_for(bus.open(), 10)


STOPS = """
import asyncio, sys
from seda_db import Database
from seda_messaging import Bus, Outbox, run_messaging
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import MetaData

async def main(url):
    metadata = MetaData(schema="example")
    add_messaging_tables(metadata)
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    bus = Bus(url, service="chat")
    async with run_messaging(bus, Outbox(metadata, service="chat-realtime"), database, ()):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


async def test_a_withdrawn_credential_ends_the_process_for_its_supervisor_to_see() -> None:
    """The client closes for good; a process that stayed would look alive and do nothing."""
    with EmbeddedNats(extra_config=USERS % "secret") as guarded:
        url = guarded.url.replace("//", "//chat:secret@")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STOPS, url, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert process.stdout is not None
            await asyncio.wait_for(process.stdout.readuntil(b"ready"), 20)
            configuration = guarded.folder / "nats.conf"
            text = configuration.read_text()
            configuration.write_text(text.replace('"secret"', '"changed"'))
            assert guarded.pid is not None
            os.kill(guarded.pid, signal.SIGHUP)
            assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGTERM
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_live_signals_without_a_broker_are_dropped_and_never_raise(
    bus: Bus, broker: EmbeddedNats
) -> None:
    """Two megabytes fill the client's buffer; what is beyond raises inside the client."""
    broker.kill()
    await eventually(lambda: not bus.is_connected)
    for _ in range(40):
        await bus.publish_live("seda.live.room.a", b"x" * 100_000)
    assert not await bus.ready()
    with pytest.raises(BusUnavailable):
        await asyncio.wait_for(bus.publish(SUBJECT, b"{}", {}), 15)
    broker.start()
    await eventually(bus.ready)


async def test_hanging_up_on_a_broker_that_is_away_does_not_hang(
    broker: EmbeddedNats,
) -> None:
    """`drain` of the client raises while it is reconnecting."""
    bus = Bus(broker.url, service="chat-realtime")
    await bus.open()
    broker.kill()
    await eventually(lambda: not bus.is_connected)
    await asyncio.wait_for(bus.close(), 10)


async def test_hanging_up_with_words_left_for_a_broker_that_is_away_leaves_nothing_open(
    broker: EmbeddedNats,
) -> None:
    """The client flushes what is pending into the dead link, whose error would stop the close half
    way, with the subscriptions' tasks still running.
    """
    before = asyncio.all_tasks()
    bus = Bus(broker.url, service="chat-realtime")
    await bus.open()
    await bus.subscribe_live("seda.live.room.a", lambda subject, payload: None)
    broker.kill()
    await eventually(lambda: not bus.is_connected)
    await bus.publish_live("seda.live.room.a", b"{}")
    await asyncio.wait_for(bus.close(), 10)
    await eventually(lambda: asyncio.all_tasks() <= before)
