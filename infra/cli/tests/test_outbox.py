"""`seda outbox`: what is waiting is told, and what a broker lost is published again."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from chat_realtime.tables import Table
from nats.js import JetStreamContext
from seda_contracts.base import Contract
from seda_contracts.events.chat import MessageSent, ReactionAdded
from seda_db import Database
from seda_messaging import Bus, Outbox, run_messaging
from seda_testkit.databases import ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port

SERVICE = "chat-realtime"
Example = Callable[[type[Contract]], Any]


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("chat_realtime", "chat")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(Table.metadata, service=SERVICE)


@pytest.fixture
def of_chat(seda: Any, migrated: ServiceDatabase, db: Database) -> Any:
    """The command with chat-realtime's own login."""
    seda.env |= {"DATABASE_URL": migrated.app_url}
    return seda


async def test_what_waits_and_what_is_kept_is_told(
    of_chat: Any, db: Database, outbox: Outbox, example: Example
) -> None:
    (row,) = (await of_chat("outbox", "status", "chat", "--json")).json
    assert row == {
        "service": "chat-realtime",
        "waiting": 0,
        "oldest_waiting_seconds": None,
        "refused": 0,
        "published_kept": 0,
        "kept_since": None,
        "last_error": None,
    }
    async with db.begin() as tx:
        await outbox.add(tx, example(MessageSent))
    (row,) = (await of_chat("outbox", "chat", "--json")).json
    assert row["waiting"] == 1
    assert row["oldest_waiting_seconds"] < 60
    shown = (await of_chat.process("outbox", "chat_realtime")).out
    assert shown.splitlines()[1].split()[:2] == ["chat-realtime", "1"]


async def test_a_broker_that_lost_its_streams_gets_them_back(
    of_chat: Any,
    db: Database,
    outbox: Outbox,
    js: JetStreamContext,
    fresh_nats: EmbeddedNats,
    example: Example,
) -> None:
    sent = [msgspec.structs.replace(example(MessageSent), seq=seq) for seq in range(3)]
    reacted = example(ReactionAdded)

    async def are_stored(count: int) -> bool:
        return (await js.stream_info("CHAT")).state.messages == count

    async with run_messaging(Bus(fresh_nats.url, service=SERVICE), outbox, db, []):
        async with db.begin() as tx:
            for event in (*sent, reacted):
                await outbox.add(tx, event)
        await eventually(lambda: are_stored(4))

        async def is_kept() -> bool:
            (row,) = (await of_chat.process("outbox", "chat", "--json")).json
            return bool(row["published_kept"] == 4)

        await eventually(is_kept)
        # Deleted and made anew, as by whoever restores a broker without its disk.
        config = (await js.stream_info("CHAT")).config
        await js.delete_stream("CHAT")
        await js.add_stream(config)
        words = ("outbox", "replay", "--service", "chat", "--since", "1h")
        done = (await of_chat.process(*words, "--type", MessageSent.TYPE, "--yes", "--json")).json
        assert (done["service"], done["events"]) == ("chat-realtime", 3)
        await eventually(lambda: are_stored(3))
        said = await of_chat.process(*words, "--until", "0s", "--yes")
        assert "4 to be published again" in said.out
        await eventually(lambda: are_stored(4))


@pytest.mark.parametrize(
    "words",
    [
        ("--service", "a", "--since", "2h"),
        ("--service", "chat", "--since", "soon"),
        ("--service", "chat", "--since", "1h", "--until", "2h"),
        ("--service", "chat", "--since", "1h", "--type", "chat.mesage.sent.v1"),
        ("--service", "chat", "--since", "1h", "--type", "auth.role.changed.v1"),
        ("--service", "c", "--since", "1h"),
        ("--since", "1h"),
        ("--service", "chat", "--since", "2h"),
    ],
)
async def test_a_replay_that_is_doubtful_or_not_agreed_to_is_not_done(
    seda: Any, words: tuple[str, ...]
) -> None:
    agreed = () if words == ("--service", "chat", "--since", "2h") else ("--yes",)
    said = await seda("outbox", "replay", *words, *agreed, expect=2 if "a" not in words else None)
    assert said.errors.count("\n") == 1


async def test_a_name_that_fits_two_services_is_not_guessed(seda: Any) -> None:
    said = await seda("outbox", "status", "c", expect=2)
    assert "c may be chat-realtime or crawler" in said.errors


async def test_nothing_kept_is_said(of_chat: Any) -> None:
    words = ("--service", "chat", "--since", "1h", "--yes")
    assert "nothing of the kind" in (await of_chat("outbox", "replay", *words, expect=1)).errors


async def test_a_database_that_is_away_or_another_s_is_told_on_one_line(
    of_chat: Any, migrated: ServiceDatabase
) -> None:
    away = f"postgresql://user:secret@127.0.0.1:{free_port()}/seda"
    for url in (away, migrated.app_url.replace("chat_app:", "chat_app:wrong"), migrated.app_url):
        said = await of_chat("outbox", "status", "crawler", expect=1, DATABASE_URL=url)
        assert "DATABASE_URL" in said.errors
        assert said.errors.count("\n") == 1
        assert "secret" not in said.errors
