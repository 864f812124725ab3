"""The command against real servers, here or in a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import nats as nats_client
import pytest
from nats.js import JetStreamContext
from nats.js.api import PubAck
from seda_cli.__main__ import main
from seda_contracts.base import Contract
from seda_contracts.envelope import headers_of
from seda_contracts.registry import BY_TYPE
from seda_runtime.clock import utc_now
from seda_runtime.ids import uuid7
from seda_testkit.events import provision_every_service
from seda_testkit.nats import EmbeddedNats

COMMAND_SECONDS_MAX = 30
EXAMPLES = Path(__file__).parents[3] / "contracts/examples"
Publish = Callable[..., Awaitable[PubAck]]


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and the status it left with."""

    status: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Seda:
    """The command. `await seda("dlq", "ls")` runs it here, as quick as its work is.

    Beside messaging that runs in the test, whose log would be among its answer, take `process`.
    """

    env: dict[str, str] = field(default_factory=dict)

    async def __call__(self, *words: str, expect: int | None = 0, **env: str) -> Said:
        """`expect` is the status it leaves with; None takes any."""
        out, errors = StringIO(), StringIO()
        with _environment(self.env | env), redirect_stdout(out), redirect_stderr(errors):
            async with asyncio.timeout(COMMAND_SECONDS_MAX):
                status = await asyncio.to_thread(_run, list(words))
        said = Said(status, out.getvalue(), errors.getvalue())
        assert expect in (None, said.status), said
        return said

    async def process(self, *words: str, expect: int = 0, **env: str) -> Said:
        """The same in a process of its own, as people run it."""
        process = await self.start(*words, **env)
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            out, errors = await process.communicate()
        assert process.returncode is not None
        said = Said(process.returncode, out.decode(), errors.decode())
        assert said.status == expect, said
        return said

    async def start(self, *words: str, **env: str) -> asyncio.subprocess.Process:
        with _environment(self.env | env):
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "seda_cli",
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )


def _run(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as left:  # argparse's way
        return int(left.code or 0)


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    """What the person who runs the tests has set must not steer the command."""
    meant = ("DATABASE_URL", "NATS_", "SEDA_", "COLUMNS")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(meant)]:
            patch.delenv(name)
        for name, value in ({"COLUMNS": "200"} | wanted).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def seda(fresh_nats: EmbeddedNats) -> Seda:
    """At a broker of this test alone, which knows no users."""
    return Seda({"NATS_URL": fresh_nats.url})


@pytest.fixture
async def js(fresh_nats: EmbeddedNats) -> AsyncIterator[JetStreamContext]:
    """The broker with the streams and consumers of every service."""
    await provision_every_service(fresh_nats.url)
    client = await nats_client.connect(fresh_nats.url, reconnect_time_wait=0.1)
    yield client.jetstream()
    await client.close()


@pytest.fixture(scope="session")
def example() -> Callable[[type[Contract]], Any]:
    """`example(MessageSent)`: a whole one, as the contracts hold it."""

    def read(contract: type[Contract]) -> Any:
        return contract.decode((EXAMPLES / contract.TYPE / "full.json").read_bytes())

    return read


@pytest.fixture
def publish(js: JetStreamContext) -> Publish:
    """`await publish(event, body=..., subject=..., **headers)`, as its producer or as a liar."""

    async def put(
        event: Contract,
        *,
        body: bytes | None = None,
        subject: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> PubAck:
        producer = BY_TYPE[event.TYPE].producer
        made = headers_of(event, event_id=uuid7(), service=producer, at=utc_now())
        return await js.publish(
            subject or event.subject(),
            event.encode() if body is None else body,
            headers=made | (headers or {}),
        )

    return put
