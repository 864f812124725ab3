"""The subscribers of the README, run as they stand there by the user that it asks for."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import nats as broker
import nkeys
import pytest
from nats.js import JetStreamContext
from seda_contracts.envelope import headers_of
from seda_contracts.events.chat import MessageSent, SharedLink
from seda_contracts.events.unfurl import link_id
from seda_contracts.registry import BY_TYPE
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

README = Path(__file__).parents[1] / "README.md"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
URL = "https://tunes.example/track/kite-paper"
USERS = """
accounts {{
  SEDA {{
    jetstream: enabled
    users: [
      {{
        nkey: {owner}
      }}
      {reader}
    ]
  }}
}}
"""
EVENT = MessageSent(
    room_id=uuid4(),
    message_id=uuid4(),
    author_id=uuid4(),
    seq=1,
    links=[SharedLink(link_id=link_id(URL), url=URL)],
    has_text=True,
    sent_at=NOON,
)


def block(language: str) -> str:
    """The first block of the README in that language."""
    pattern = rf"^```{language}\n(.*?)^```"
    found = re.search(pattern, README.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def new_user() -> tuple[str, str]:
    """Private seed and public key."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()


@dataclass(slots=True)
class Guarded:
    """A broker that knows the README's user, and the stream's owner beside it."""

    server: EmbeddedNats
    reader_seed: str
    js: JetStreamContext

    async def publish(self, event_id: UUID, *, times: int = 1) -> None:
        """As chat-realtime would: with the envelope in the headers. Copies reach the reader."""
        headers = headers_of(EVENT, event_id=event_id, service="chat-realtime", at=NOON)
        headers.pop("Nats-Msg-Id")
        for _ in range(times):
            await self.js.publish(EVENT.subject(), EVENT.encode(), headers=headers)

    async def settled(self) -> bool:
        """Whether the reader has acknowledged everything."""
        with contextlib.suppress(broker.js.errors.NotFoundError):
            info = await self.js.consumer_info("CHAT", "report")
            return info.num_pending == 0 and info.num_ack_pending == 0
        return False


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    owner_seed, owner = new_user()
    reader_seed, reader = new_user()
    users = USERS.format(owner=owner, reader=block("").replace("$NATS_NKEY_REPORT", reader))
    with EmbeddedNats(extra_config=users) as server:
        client = await broker.connect(server.url, nkeys_seed_str=owner_seed)
        js = client.jetstream()
        stream = BY_TYPE[EVENT.TYPE].stream
        await js.add_stream(name=stream.name, subjects=list(stream.subjects))
        yield Guarded(server, reader_seed, js)
        await client.close()
        assert "violation" not in server.log_file.read_text().lower()


@contextlib.asynccontextmanager
async def python_subscriber(guarded: Guarded) -> AsyncIterator[None]:
    module: dict[str, Any] = {}
    exec(compile(block("python"), str(README), "exec"), module)
    listening = asyncio.create_task(module["listen"](guarded.server.url, guarded.reader_seed))
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
    (node_folder / "subscriber.mjs").write_text(block("js"))
    secrets = {"NATS_URL": guarded.server.url, "NATS_NKEY_SEED": guarded.reader_seed}
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


def test_the_python_subscriber_fits_on_ten_lines() -> None:
    lines = [line for line in block("python").splitlines() if line]
    assert len(lines) <= 10


def test_the_javascript_subscriber_fits_on_half_a_screen() -> None:
    assert len([line for line in block("js").splitlines() if line]) <= 15
