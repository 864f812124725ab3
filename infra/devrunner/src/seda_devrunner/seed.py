"""Demo data, made through the public API alone: what a person could have typed, in seconds.

Always the same people, rooms and words. Done once per state folder; what an earlier, broken-off
seed had made is found again rather than made twice.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from seda_testkit.client import Api, ApiError
from seda_testkit.eventually import eventually

from seda_devrunner.checkout import StateFolder
from seda_devrunner.demosites import DemoPages, page_url, track_url
from seda_devrunner.people import LISTENERS, enter, enter_as_admin

PROFILE_SECONDS_MAX = 20.0
CHECK_SECONDS_MAX = 20.0
POLL_SECONDS = 0.05
"""Every question is a request, and a person may ask 100 a minute."""
ROOMS = (
    ("Night Tram", "Quiet music for the way home."),
    ("New Releases", "Paste it here when it is out."),
    ("Dub & Maps", "Delay, bass and places."),
)
WORDS = (
    "This one has been on repeat all week: {track}",
    "Good evening, everybody.",
    "The second half is where it opens up. {track}",
    "Has anyone seen them live?",
    "Not my usual thing, and I love it. {track}",
    "The cover alone is worth it.",
)
EMOJIS = ("🔥", "❤️", "🎧")
MESSAGES_PER_ROOM = 18


@dataclass(frozen=True, slots=True)
class DemoArtist:
    """An artist of the demo sites, and how far the proof of their page has come."""

    slug: str
    name: str
    stage: str


ARTISTS = (
    DemoArtist("velvet-harbour", "Velvet Harbour", "approved"),
    DemoArtist("nina-ostrova", "Nina Ostrova", "unclaimed"),
    DemoArtist("the-paper-kites-club", "Kite Paper Club", "issued"),
    DemoArtist("dub-cartographer", "Dub Cartographer", "in review"),
    DemoArtist("oslo-after-nine", "Oslo After Nine", "denied"),
)


async def seed(
    state: StateFolder, *, gateway_url: str, demosites_url: str, admin_api_key: str
) -> bool:
    """False when it had been done before."""
    if state.seeded.exists():
        return False
    async with Api.at(gateway_url) as api, DemoPages(demosites_url) as pages:
        admin = await enter_as_admin(api, admin_api_key)
        people = [await enter(api, person) for person in LISTENERS]
        await asyncio.gather(*(wait_for_profile(person) for person in people))
        rooms = [await _room(people[0], name, about) for name, about in ROOMS]
        for room in rooms:
            await _talk(people, room)
        for artist, person in zip(ARTISTS, people, strict=True):
            await _bring_to_stage(person, admin, pages, artist)
    state.seeded.write_text(json.dumps({"rooms": [room["id"] for room in rooms]}))
    return True


async def wait_for_profile(person: Api) -> Any:
    """The profile is made from the account's event, a moment after the account."""

    async def ready() -> Any:
        profile = await person.get("/users/me")
        return profile if profile.get("profile") != "pending" else None

    return await eventually(ready, timeout_seconds=PROFILE_SECONDS_MAX, poll_seconds=POLL_SECONDS)


async def _room(owner: Api, name: str, description: str) -> dict[str, Any]:
    mine = (await owner.get("/chat/rooms", mine=True))["items"]
    for room in mine:
        if room["name"] == name:
            return dict(room)
    return await owner.post("/chat/rooms", {"name": name, "description": description})


async def _talk(people: list[Api], room: dict[str, Any]) -> None:
    """Fixed client ids: a message that is there already is answered, not repeated."""
    path = f"/chat/rooms/{room['id']}"
    for person in people[1:]:
        await person.post(f"{path}/join")
    for number in range(MESSAGES_PER_ROOM):
        author = people[number % len(people)]
        text = WORDS[number % len(WORDS)].format(track=track_url(1 + number % 12))
        body = {"text": text, "cid": f"seed-{room['name']}-{number}"}
        message = await author.post(f"{path}/messages", body)
        if "tunes.example" in text:
            admirer = people[(number + 1) % len(people)]
            emoji = EMOJIS[number % len(EMOJIS)]
            await admirer.call("PUT", f"{path}/messages/{message['id']}/reactions/{emoji}")


async def _bring_to_stage(person: Api, admin: Api, pages: DemoPages, artist: DemoArtist) -> None:
    profile = await _artist_profile(person, artist)
    if artist.stage == "unclaimed" or profile["verified"]:
        return
    if (await person.get("/verification/requests"))["items"]:
        return
    claim = await request_claim(person, profile["id"], page_url(artist.slug))
    if artist.stage == "issued":
        return
    if artist.stage == "denied":
        reason = "The page belongs to somebody else."
        await _decide(admin, claim["id"], "reject", reason)
        return
    await pages.write_about(artist.slug, f"{artist.name}. {claim['code']}")
    await person.post(f"/verification/requests/{claim['id']}/check")
    await eventually(
        lambda: _has_left(person, claim["id"], "checking"),
        timeout_seconds=CHECK_SECONDS_MAX,
        poll_seconds=0.5,
    )


async def _artist_profile(person: Api, artist: DemoArtist) -> dict[str, Any]:
    body = {"artist_name": artist.name, "bio": f"Also at {page_url(artist.slug)}"}
    # A page the artist has listed is approved without a person; the others are reviewed.
    if artist.stage != "in review":
        body["website_url"] = page_url(artist.slug)
    try:
        return await person.post("/artists", body)
    except ApiError as error:
        if error.status != 409:
            raise
    return await person.get("/artists/me")


async def request_claim(person: Api, artist_id: str, target_url: str) -> dict[str, Any]:
    """verification learns of a new artist by an event: until then it knows none of that id."""

    async def try_once() -> dict[str, Any] | None:
        try:
            return await person.post(
                "/verification/requests", {"artist_id": artist_id, "target_url": target_url}
            )
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    return await eventually(
        try_once, timeout_seconds=PROFILE_SECONDS_MAX, poll_seconds=POLL_SECONDS
    )


async def _decide(admin: Api, claim_id: str, decision: str, reason: str) -> None:
    await admin.post(
        f"/admin/verification/requests/{claim_id}/decision",
        {"decision": decision, "reason": reason},
    )


async def _has_left(person: Api, claim_id: str, status: str) -> bool:
    return bool((await person.get(f"/verification/requests/{claim_id}"))["status"] != status)
