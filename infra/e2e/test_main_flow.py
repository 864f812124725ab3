"""What `make demo` plays happens, and what is there without internet is honest."""

import time
from typing import Any
from uuid import uuid4

from seda_devrunner.demo import play
from seda_devrunner.demosites import DemoPages, page_url
from seda_devrunner.seed import request_claim, wait_for_profile
from seda_testkit.client import Api
from seda_testkit.eventually import eventually

PASSWORD = "lanterns-over-water-7"
REFUSED = (" Violation - ", "authentication error", "nats.permission_refused")
"""In the broker's log, and in a service's."""


def refusals(running: Any) -> list[str]:
    """A permission that is missing looks like a slow answer, so it is looked for by name."""
    nats = next(w.server for w in running.platform.servers.embedded if w.name == "nats")
    lines = [
        line
        for file in (nats.log_file, *running.state.logs.glob("*.log"))
        for line in file.read_text(errors="replace").splitlines()
    ]
    return [line for line in lines if any(word in line for word in REFUSED)]


async def test_the_main_flow_happens_from_sign_up_to_ban_as_often_as_it_is_played(
    running: Any,
) -> None:
    for _ in range(2):
        said: list[str] = []
        await play(running.gateway_url, running.demosites_url, say=said.append)
        assert any("ban" in line for line in said)
    assert refusals(running) == []


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


async def test_a_claim_code_in_a_strangers_comment_proves_nothing(running: Any, api: Api) -> None:
    run = uuid4().hex[:8]
    slug = "velvet-harbour"
    impostor = await api.sign_up(f"impostor-{run}@demo.example", PASSWORD, "Impostor")
    await wait_for_profile(impostor)
    body = {"artist_name": f"Famous {run}", "website_url": page_url(slug)}
    artist = await impostor.post("/artists", body)
    claim = await request_claim(impostor, artist["id"], page_url(slug))
    async with DemoPages(running.demosites_url) as pages:
        await pages.write_comment(slug, f"I was here {claim['code']}")
    await impostor.post(f"/verification/requests/{claim['id']}/check")

    async def judged() -> Any:
        found = await impostor.get(f"/verification/requests/{claim['id']}")
        return found if found["status"] != "checking" else None

    answer = await eventually(judged)
    assert answer["reason_code"] == "wrong_place", answer
    assert not (await impostor.get(f"/artists/{artist['id']}"))["verified"]
