"""The first message of the README, word by word, against the running platform."""

import asyncio
import json
import re
from typing import Any

from seda_devrunner.checkout import ROOT
from seda_devrunner.seed import seed
from seda_testkit.client import Api
from seda_testkit.eventually import eventually

ADDRESS = "API=http://127.0.0.1:3001/api/v1"
COMMANDS_SECONDS_MAX = 60


def first_message() -> str:
    text = (ROOT / "README.md").read_text()
    chapter = text.split("## Your first message", 1)[1]
    found = re.search(r"```sh\n(.*?)```", chapter, re.S)
    assert found is not None
    assert ADDRESS in found[1]
    return found[1]


async def shell(script: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMANDS_SECONDS_MAX):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


async def test_the_readme_leads_to_a_first_message_with_its_card(running: Any, api: Api) -> None:
    await seed(
        running.state,
        gateway_url=running.gateway_url,
        demosites_url=running.demosites_url,
        admin_api_key=running.wiring.backing.secrets.admin_api_key,
    )
    script = first_message().replace(ADDRESS, f"API={running.gateway_url}/api/v1")
    answers = await shell(script)
    last = json.JSONDecoder().raw_decode(answers, answers.rindex('{"items"'))[0]
    message = last["items"][0]
    assert message["text"] == "Hello! http://tunes.example/track/3"
    nina = await api.log_in("nina@demo.example", "lanterns-over-water-7")

    async def card() -> Any:
        page = await nina.get(f"/chat/rooms/{message['room_id']}/messages", limit=1)
        return page["items"][0]["cards"]

    assert (await eventually(card))[0]["card"]["title"]
