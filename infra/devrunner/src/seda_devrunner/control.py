"""How other commands talk to the running platform: one JSON line each way on a unix socket."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from seda_devrunner.checkout import StateFolder
from seda_devrunner.lock import read_run

Handler = Callable[[], Awaitable[Any]]


class NotRunning(Exception):
    """Nothing answers in this folder."""


@asynccontextmanager
async def listening(handlers: dict[str, Handler]) -> AsyncIterator[Path]:
    """The socket lies in a private folder under /tmp: paths of sockets are limited to about 100
    bytes, and a checkout may lie deeper.
    """
    folder = Path(tempfile.mkdtemp(prefix="seda-", dir="/tmp"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word = (await reader.readline()).decode().strip()
        handler = handlers.get(word)
        reply = await handler() if handler else {"error": f"unknown word {word!r}"}
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, folder / "control")
    try:
        yield folder / "control"
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


async def ask(state: StateFolder, word: str) -> Any:
    """Raises NotRunning."""
    facts = read_run(state)
    if facts is None:
        raise NotRunning
    try:
        reader, writer = await asyncio.open_unix_connection(facts["control"], limit=1 << 20)
    except OSError as error:
        raise NotRunning from error
    writer.write(word.encode() + b"\n")
    reply = json.loads(await reader.readline())
    writer.close()
    return reply
