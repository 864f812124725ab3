"""The subscriber of the README, run as it stands there against a real broker."""

import asyncio
import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import nats as broker
import pytest
from seda_contracts.envelope import headers_of
from seda_contracts.events.chat import MessageSent, SharedLink
from seda_contracts.events.unfurl import link_id
from seda_contracts.registry import BY_TYPE
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats

README = Path(__file__).parents[1] / "README.md"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
URL = "https://tunes.example/track/kite-paper"


def snippet() -> str:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)[0]


async def publish(nats_url: str, event: MessageSent, event_id: UUID) -> None:
    """As chat-realtime would: into its stream, with the envelope in the headers."""
    stream = BY_TYPE[event.TYPE].stream
    client = await broker.connect(nats_url)
    try:
        js = client.jetstream()
        await js.add_stream(name=stream.name, subjects=list(stream.subjects))
        headers = headers_of(event, event_id=event_id, service="chat-realtime", at=NOON)
        await js.publish(event.subject(), event.encode(), headers=headers)
    finally:
        await client.close()


async def test_the_subscriber_of_the_readme_receives_what_was_published(
    nats: EmbeddedNats, capsys: pytest.CaptureFixture[str]
) -> None:
    event_id, heard = uuid4(), []
    event = MessageSent(
        room_id=uuid4(),
        message_id=uuid4(),
        author_id=uuid4(),
        seq=1,
        links=[SharedLink(link_id=link_id(URL), url=URL)],
        has_text=True,
        sent_at=NOON,
    )
    await publish(nats.url, event, event_id)
    module: dict[str, Any] = {}
    exec(compile(snippet(), str(README), "exec"), module)
    listening = asyncio.create_task(module["listen"](nats.url))

    def printed() -> bool:
        heard.append(capsys.readouterr().out)
        return URL in "".join(heard) or listening.done()

    await eventually(printed, timeout_seconds=10)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    assert str(event_id) in "".join(heard)


def test_the_subscriber_fits_on_ten_lines() -> None:
    _, _, body = snippet().partition("async def ")
    imports = [line for line in snippet().splitlines() if "import" in line]
    assert len(imports) + len(body.splitlines()) <= 10
