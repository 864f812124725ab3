"""The commands of the documents are typed as they stand there, and answer as it is printed there."""

import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.events.chat import MessageSent
from seda_contracts.events.unfurl import UnfurlResolve
from seda_contracts.registry import BY_TYPE
from seda_runtime.clock import utc_now
from seda_testkit.databases import ServiceDatabase

ROOT = Path(__file__).parents[3]
README = ROOT / "infra/cli/README.md"
DOCUMENTS = (README, ROOT / "infra/docs/troubleshooting.md", ROOT / "README.md")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def transcripts() -> list[tuple[str, str]]:
    """Command and answer of every console block of the README, in its order."""
    blocks = re.findall(r"^```console\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    parts = re.split(r"^\$ seda (.*)\n", "".join(blocks), flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def timeless(text: str) -> str:
    """Without what differs each time, and without the width it took."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "<time>", text)
    text = re.sub(r"\d\d:\d\d:\d\d(\.\d+)?", "<time>", text)
    text = re.sub(r"\b\d+ (s|min|h|d) ago", "<time> ago", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()


async def happen(js: JetStreamContext, example: Callable[[type[Contract]], Any]) -> None:
    """One message with a link; the link's command has died."""
    for number, contract in enumerate((MessageSent, UnfurlResolve), start=1):
        event = example(contract)
        event_id = f"019aa3c0-7d40-7007-8000-00000000001{number}"
        producer = BY_TYPE[event.TYPE].producer
        headers = headers_of(event, event_id=event_id, service=producer, at=utc_now())
        headers |= {"traceparent": TRACE}
        await js.publish(event.subject(), event.encode(), headers=headers)
    dead = {
        "seda-dead-subject": event.subject(),
        "seda-dead-reason": "TimeoutError after 8 attempts",
        "seda-dead-sequence": "1",
        "seda-dead-attempts": "8",
        "Nats-Msg-Id": f"track-unfurl.links:1:{event_id}",
    }
    await js.delete_msg("CMD_UNFURL", 1)
    await js.publish("seda.dlq.track-unfurl.links", event.encode(), headers=headers | dead)


async def test_the_readme_prints_what_the_commands_say(
    seda: Any, js: JetStreamContext, example: Callable[[type[Contract]], Any]
) -> None:
    await happen(js, example)
    for command, printed in transcripts():
        words = shlex.split(command)
        said = await seda.process(*words, COLUMNS="100")
        assert timeless(said.out + said.errors) == timeless(printed), command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
async def test_every_command_of_the_documents_is_understood(
    seda: Any, tmp_path: Path, document: Path
) -> None:
    """It gets as far as looking for a platform: its words are right."""
    seda.env = {}
    commands = re.findall(r"`(?:\.venv/bin/)?seda ([^`\n]+)`", document.read_text())
    commands += re.findall(r"^(?:\$ |\.venv/bin/)seda ([^#\n]+)", document.read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        words = [NUMBER.get(word, word) for word in shlex.split(command)]
        if "--help" in words:
            continue
        said = await seda(*words, "--state", str(tmp_path), expect=None)
        assert said.status != 2, (command, said.errors)


NUMBER = {"NUMBER": "1", "SERVICE": "chat", "CONSUMER": "crawler.jobs", "TRACE": "4bf92f35"}
"""What the documents leave to the reader."""
