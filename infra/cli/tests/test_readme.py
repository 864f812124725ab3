"""Commands of the documents are typed as they stand there, and answer what is printed there."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_realtime.tables import Table
from nats.js import JetStreamContext
from seda_cli.consumers import ConsumerRow
from seda_cli.dlq import Opened
from seda_cli.events import Description, EventType
from seda_cli.letters import Letter
from seda_cli.outbox import OutboxRow, Replayed
from seda_cli.retry import Retried
from seda_cli.sighting import Sighting
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.events.chat import MessageSent, ReactionAdded
from seda_contracts.events.unfurl import UnfurlResolve
from seda_contracts.registry import BY_TYPE
from seda_db import Database
from seda_messaging import Outbox
from seda_runtime.clock import utc_now
from seda_testkit.databases import ServiceDatabase
from sqlalchemy import update

ROOT = Path(__file__).parents[3]
README = ROOT / "infra/cli/README.md"
DOCUMENTS = (
    README,
    ROOT / "README.md",
    ROOT / "infra/docs/troubleshooting.md",
    ROOT / "infra/docs/monitoring/incident-response.md",
)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LEFT_TO_THE_READER = {
    "NUMBER": "1",
    "SERVICE": "chat",
    "CONSUMER": "crawler.jobs",
    "TYPE": MessageSent.TYPE,
    "TRACE": "4bf92f35",
}


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("chat_realtime", "chat")


def transcripts() -> list[tuple[str, str]]:
    """Command and answer of every console block of the README, in its order."""
    blocks = re.findall(r"^```console\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    parts = re.split(r"^\$ seda (.*)\n", "".join(blocks), flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def commands_of(document: Path) -> list[str]:
    """What stands behind `seda` in code, in a line or in a block."""
    text = document.read_text()
    return [
        *re.findall(r"`(?:\.venv/bin/)?seda ([^`\n]+)`", text),
        *re.findall(r"^(?:\$ |\.venv/bin/)seda ([^#\n]+)", text, re.MULTILINE),
    ]


def timeless(text: str) -> str:
    """Without what differs each time, and without the width it took."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "<time>", text)
    text = re.sub(r"\d\d:\d\d:\d\d(\.\d+)?", "<time>", text)
    text = re.sub(r"\b\d+ (s|min|h|d)\b", "<length>", text)
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


async def write_outbox(db: Database, example: Callable[[type[Contract]], Any]) -> None:
    """One event that was published, and one that waits."""
    outbox = Outbox(Table.metadata, service="chat-realtime")
    async with db.begin() as tx:
        await outbox.add(tx, example(MessageSent))
        await tx.execute(update(outbox.table).values(published_at=utc_now()))
        await outbox.add(tx, example(ReactionAdded))


async def test_the_readme_prints_what_the_commands_say(
    seda: Any,
    js: JetStreamContext,
    db: Database,
    migrated: ServiceDatabase,
    example: Callable[[type[Contract]], Any],
) -> None:
    await happen(js, example)
    await write_outbox(db, example)
    assert transcripts()
    for command, printed in transcripts():
        said = await seda.process(
            *shlex.split(command), DATABASE_URL=migrated.app_url, COLUMNS="100"
        )
        assert timeless(said.out + said.errors) == timeless(printed), said.out + said.errors


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=["cli", "root", "troubleshooting", "incident-response"]
)
async def test_every_command_of_the_documents_is_understood(
    seda: Any, tmp_path: Path, document: Path
) -> None:
    """It gets as far as looking for a platform: its words are right."""
    seda.env = {}
    commands = commands_of(document)
    assert commands
    for command in commands:
        words = [LEFT_TO_THE_READER.get(word, word) for word in shlex.split(command)]
        said = await seda(*words, "--state", str(tmp_path), expect=None)
        assert said.status != 2 or "--yes" in said.errors, (command, said.errors)


def test_the_keys_of_the_readme_are_those_of_the_answers() -> None:
    chapter = README.read_text().split("## Keys", 1)[1]
    rows = re.findall(r"^\| `seda ([^`]+)` \| (.*) \|$", chapter, re.MULTILINE)
    told = {command: tuple(re.findall(r"`(\w+)`", keys)) for command, keys in rows}
    assert told == {
        "events": EventType.__struct_fields__,
        "events describe TYPE": Description.__struct_fields__,
        "events tail": Sighting.__struct_fields__,
        "consumers": ConsumerRow.__struct_fields__,
        "dlq": Letter.__struct_fields__,
        "dlq show NUMBER": Opened.__struct_fields__,
        "dlq retry NUMBER": Retried.__struct_fields__,
        "outbox": OutboxRow.__struct_fields__,
        "outbox replay --service chat --since 2h --yes": Replayed.__struct_fields__,
    }
