"""The subscribers of the README, run as they stand there by the user that it asks for."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import nats
import pytest
from nats.js import JetStreamContext
from seda_contracts import permissions
from seda_contracts.envelope import headers_of
from seda_contracts.events.chat import MessageSent, SharedLink
from seda_contracts.events.unfurl import link_id
from seda_messaging.broker_keys import new_seed, public_keys
from seda_messaging.provision import provision
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

README = Path(__file__).parents[1] / "README.md"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
URL = "https://tunes.example/track/kite-paper"
READER = "report"
PRODUCER = "chat-realtime"
EVENT = MessageSent(
    room_id=uuid4(),
    message_id=uuid4(),
    author_id=uuid4(),
    seq=1,
    links=[SharedLink(link_id=link_id(URL), url=URL)],
    has_text=True,
    sent_at=NOON,
)


def blocks(language: str) -> list[str]:
    """The blocks of the README in that language, in order."""
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, README.read_text(), re.MULTILINE | re.DOTALL)


def function(name: str) -> Any:
    """A function of the README's Python."""
    module: dict[str, Any] = {}
    for text in blocks("python"):
        exec(compile(text, str(README), "exec"), module)
    return module[name]


@dataclass(slots=True)
class Guarded:
    """A broker as it is in production, that knows the README's reader too."""

    server: EmbeddedNats
    seeds: dict[str, str]
    js: JetStreamContext
    """As chat-realtime."""

    async def publish(self, event_id: UUID, *, times: int = 1) -> None:
        """With the envelope in the headers. Copies reach the reader."""
        headers = headers_of(EVENT, event_id=event_id, service=PRODUCER, at=NOON)
        headers.pop("Nats-Msg-Id")
        for _ in range(times):
            await self.js.publish(EVENT.subject(), EVENT.encode(), headers=headers)

    async def settled(self) -> bool:
        """Whether the reader has acknowledged everything."""
        async with connected(self.server, self.seeds, permissions.PROVISIONER) as js:
            info = await js.consumer_info("CHAT", READER)
            return info.num_pending == 0 and info.num_ack_pending == 0


@contextlib.asynccontextmanager
async def connected(
    server: EmbeddedNats, seeds: dict[str, str], user: str
) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(
        server.url, nkeys_seed_str=seeds[user], inbox_prefix=f"_INBOX_{user}".encode()
    )
    try:
        yield client.jetstream()
    finally:
        await client.close()


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    seeds = {user: new_seed() for user in (*permissions.users(), READER)}
    ours = permissions.configuration(permissions.users())
    accounts = ours.replace("accounts {\n", "accounts {\n" + blocks("")[0], 1)
    with EmbeddedNats(extra_config=accounts, env=public_keys(seeds)) as server:
        await provision(server.url, PRODUCER, nkey_seed=seeds[permissions.PROVISIONER])
        await function("make_durable")(server.url, seeds[permissions.PROVISIONER])
        async with connected(server, seeds, PRODUCER) as js:
            yield Guarded(server, seeds, js)
        assert "violation" not in server.log_file.read_text().lower()


@contextlib.asynccontextmanager
async def python_subscriber(guarded: Guarded) -> AsyncIterator[None]:
    listening = asyncio.create_task(function("listen")(guarded.server.url, guarded.seeds[READER]))
    try:
        yield
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def test_the_python_subscriber_receives_what_was_published(
    guarded: Guarded, capsys: pytest.CaptureFixture[str]
) -> None:
    event_id = uuid4()
    await guarded.publish(event_id)
    async with python_subscriber(guarded):
        await eventually(guarded.settled, timeout_seconds=10)
    heard = capsys.readouterr().out
    assert str(event_id) in heard
    assert URL in heard


async def test_the_javascript_subscriber_acts_once_on_an_event_that_comes_twice(
    guarded: Guarded, node_command: str, node_folder: Path
) -> None:
    first, second = uuid4(), uuid4()
    await guarded.publish(first, times=2)
    await guarded.publish(second)
    (node_folder / "subscriber.mjs").write_text(blocks("js")[0])
    secrets = {"NATS_URL": guarded.server.url, "NATS_NKEY_SEED": guarded.seeds[READER]}
    subscriber = await asyncio.create_subprocess_exec(
        node_command, node_folder / "subscriber.mjs", env=secrets, stdout=asyncio.subprocess.PIPE
    )
    try:
        await eventually(guarded.settled, timeout_seconds=20)
    finally:
        subscriber.terminate()
        heard, _ = await subscriber.communicate()
    assert heard.decode().count(str(first)) == 1
    assert heard.decode().count(str(second)) == 1
    assert URL in heard.decode()


def test_a_subscriber_fits_on_half_a_screen() -> None:
    body = blocks("python")[1].partition("async def ")[2]
    assert len(body.splitlines()) <= 10
    assert len([line for line in blocks("js")[0].splitlines() if line]) <= 14
