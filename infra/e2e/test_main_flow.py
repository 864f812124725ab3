"""What `make demo` plays happens, and what is there without internet is honest."""

import time
from typing import Any
from uuid import uuid4

from seda_devrunner.demo import play
from seda_testkit.client import Api


async def test_the_main_flow_happens_from_sign_up_to_ban(running: Any) -> None:
    said: list[str] = []
    await play(running.gateway_url, running.demosites_url, say=said.append)
    assert any("ban" in line for line in said)


async def test_a_real_provider_without_internet_is_partial_at_once_and_invents_nothing(
    api: Api,
) -> None:
    url = f"https://open.spotify.com/track/{uuid4().hex[:22]}"
    started = time.perf_counter()
    card = await api.get("/tracks/unfurl", url=url)
    assert time.perf_counter() - started < 5
    assert card["status"] == "partial"
    assert card["provider"] == "spotify"
    assert card["provider_id"] == url.rpartition("/")[2]
    assert card["embed_url"].startswith("https://open.spotify.com/embed/track/")
    assert not card.get("title")
    assert not card.get("artists")
