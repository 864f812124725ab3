"""What a command says when it cannot reach, or may not enter, what it is about."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats as nats_client
import pytest
from seda_cli.broker import open_broker
from seda_cli.failure import CommandFailed
from seda_cli.letters import every_letter, read_pointers
from seda_cli.platform import Target, find_target
from seda_contracts import permissions
from seda_contracts.envelope import headers_of
from seda_contracts.events.unfurl import UnfurlResolve
from seda_devrunner.broker import guarded_nats
from seda_devrunner.checkout import StateFolder
from seda_devrunner.lock import only_runner, write_run
from seda_messaging.broker_keys import new_seed
from seda_messaging.provision import provision
from seda_runtime.clock import utc_now
from seda_runtime.ids import uuid7
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port

EXAMPLES = Path(__file__).parents[3] / "contracts/examples"

COMMANDS = (
    ("consumers",),
    ("events", "tail", "--since", "1h", "--no-follow"),
    ("dlq", "ls"),
    ("dlq", "retry", "1"),
)


@pytest.mark.parametrize("words", [*COMMANDS, ("outbox", "status")])
async def test_without_a_platform_the_command_that_makes_one_is_named(
    seda: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    seda.env = {}
    said = await seda(*words, "--state", str(tmp_path), expect=1)
    assert "make run DETACH=1" in said.errors
    assert said.errors.count("\n") == 1


@pytest.mark.parametrize("words", COMMANDS)
async def test_a_broker_that_is_away_is_told_on_one_line_without_its_password(
    seda: Any, words: tuple[str, ...]
) -> None:
    url = f"nats://user:secret@127.0.0.1:{free_port()}"
    said = await seda(*words, "--nats-url", url, expect=1)
    assert "no NATS answers" in said.errors
    assert "secret" not in said.errors
    assert said.errors.count("\n") == 1


@pytest.mark.parametrize("url", ["nats://127.0.0.1:port", "::::", "nats://[", "http://127.0.0.1:1"])
async def test_an_address_that_is_none_is_told_on_one_line(seda: Any, url: str) -> None:
    said = await seda("dlq", "--nats-url", url, expect=1)
    assert "no NATS answers" in said.errors
    assert said.errors.count("\n") == 1


async def test_a_broker_that_dies_under_a_command_fails_it_with_a_reason(
    fresh_nats: EmbeddedNats,
) -> None:
    target = Target(nats=fresh_nats.url, database=None, seeds={}, seed=None)
    async with open_broker(target) as broker:
        fresh_nats.kill()
        for work in (read_pointers(broker), every_letter(broker, {}), broker.api("INFO")):
            with pytest.raises(CommandFailed, match="did not answer"):
                await work


@dataclass(frozen=True, slots=True)
class Guarded:
    """A broker with the users of the contracts and every service's streams, and their seeds."""

    url: str
    seeds: dict[str, str]


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    users = permissions.users()
    seeds = {user: new_seed() for user in users}
    with guarded_nats(tmp_path_factory.mktemp("nats"), users, seeds) as server:
        for service in permissions.services():
            await provision(server.url, service, nkey_seed=seeds[permissions.PROVISIONER])
        yield Guarded(server.url, seeds)


LOOKING = (
    (("consumers",), 0),
    (("dlq", "ls"), 1),
    (("events", "tail", "--since", "1h", "--no-follow"), 1),
)


@pytest.mark.parametrize(("words", "status"), LOOKING)
@pytest.mark.parametrize("user", ["ops", "operator"])
async def test_who_may_look_looks_with_one_seed_or_with_the_one_of_its_name(
    seda: Any, guarded: Guarded, words: tuple[str, ...], status: int, user: str
) -> None:
    for variable in ("NATS_NKEY_SEED", permissions.seed_variable(user)):
        seda.env = {"NATS_URL": guarded.url, variable: guarded.seeds[user]}
        said = await seda(*words, expect=status)
        assert "refuse" not in said.errors


@pytest.mark.parametrize("words", [*(words for words, _ in LOOKING), ("dlq", "retry", "1")])
async def test_a_credential_that_is_missing_unknown_or_of_another_is_told_on_one_line(
    seda: Any, guarded: Guarded, words: tuple[str, ...]
) -> None:
    seda.env = {"NATS_URL": guarded.url}
    for seed in (None, new_seed(), guarded.seeds["crawler"]):
        said = await seda(*words, expect=1, **({"NATS_NKEY_SEED": seed} if seed else {}))
        assert "NATS_NKEY_SEED" in said.errors
        assert said.errors.count("\n") == 1
        assert seed is None or seed not in said.errors
    said = await seda(*words, expect=1, NATS_NKEY_SEED="nonsense")
    assert "is no seed" in said.errors


async def test_whoever_may_only_look_is_refused_to_mend(seda: Any, guarded: Guarded) -> None:
    seda.env = {"NATS_URL": guarded.url, "NATS_NKEY_SEED": guarded.seeds["ops"]}
    for words in (("dlq", "retry", "--all", "--yes"), ("consumers", "pause", "crawler.jobs")):
        said = await seda(*words, expect=1)
        assert "refused the credential of `operator`" in said.errors


async def test_the_operator_s_rights_are_enough_for_all_that_mends(
    seda: Any, guarded: Guarded
) -> None:
    """And `ops` hears live what the operator gives back."""
    env = {"NATS_URL": guarded.url, permissions.seed_variable("ops"): guarded.seeds["ops"]}
    seda.env = env | {permissions.seed_variable("operator"): guarded.seeds["operator"]}
    event = UnfurlResolve.decode((EXAMPLES / UnfurlResolve.TYPE / "full.json").read_bytes())
    headers = headers_of(event, event_id=uuid7(), service="chat-realtime", at=utc_now())
    client = await nats_client.connect(
        guarded.url,
        nkeys_seed_str=guarded.seeds["track-unfurl"],
        inbox_prefix=b"_INBOX_track-unfurl",
    )
    dead = {"seda-dead-subject": event.subject(), "seda-dead-reason": "RuntimeError"}
    for sequence in ("1", "2"):
        ids = {"seda-dead-sequence": sequence, "Nats-Msg-Id": sequence}
        await client.jetstream().publish(
            "seda.dlq.track-unfurl.links", event.encode(), headers=headers | dead | ids
        )
    await client.close()
    tail = await seda.start("events", "tail", "--since", "1h", "--json")
    await seda("dlq", "retry", "1")
    line = await asyncio.wait_for(tail.stdout.readline(), 20)
    assert json.loads(line)["event_id"] == headers["ce-id"]
    tail.send_signal(signal.SIGINT)
    await asyncio.wait_for(tail.communicate(), 20)
    await seda("dlq", "drop", "2", "--yes")
    await seda("dlq", expect=1)
    await seda("consumers", "pause", "crawler.jobs")
    await seda("consumers", "resume", "crawler.jobs")


async def test_the_platform_of_a_folder_is_found_with_its_seeds(
    seda: Any, guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seda.env = {}
    for name in [name for name in os.environ if name.startswith(("NATS_", "DATABASE_URL"))]:
        monkeypatch.delenv(name)
    state = StateFolder(tmp_path / "state")
    people = {user: guarded.seeds[user] for user in ("ops", "operator")}
    with only_runner(state):
        database = f"postgresql://127.0.0.1:{free_port()}/seda"
        facts = {"nats_url": guarded.url, "nats_seeds": people, "database_url": database}
        write_run(state, facts)
        await seda("consumers", "--state", str(state.path))
        said = await seda("outbox", "--state", str(state.path), expect=1)
        assert "the database does not answer" in said.errors
        here = find_target(state.path)
        assert (here.seeds, here.database) == (people, database)
        elsewhere = find_target(state.path, nats_url="nats://elsewhere.example")
        assert (elsewhere.seeds, elsewhere.database) == ({}, None)
