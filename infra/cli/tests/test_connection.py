"""What a command says when it cannot reach, or may not enter, what it is about."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nkeys
import pytest
from seda_contracts import permissions
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port

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


@pytest.fixture
async def guarded() -> AsyncIterator[tuple[EmbeddedNats, dict[str, str]]]:
    """A broker with the users of the contracts, and their seeds."""
    seeds, variables = {}, []
    for user in permissions.users():
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        seeds[user] = seed.decode()
        public = nkeys.from_seed(seed).public_key.decode()
        variables.append(f'{permissions.key_variable(user)}: "{public}"\n')
    configuration = "".join(variables) + permissions.configuration(permissions.users())
    with EmbeddedNats(extra_config=configuration) as server:
        yield server, seeds
