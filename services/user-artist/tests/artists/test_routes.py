"""Artist profiles and the search over HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from seda_contracts.events.artist import ArtistProfileCreated, ArtistProfileUpdated, ArtistState
from seda_db import Database
from seda_runtime.ids import uuid7
from seda_testkit.databases import ServiceDatabase
from sqlalchemy import text
from user_artist.names import search_key
from user_artist.tables import ArtistRow

Make = Callable[..., Any]
NOVA = {
    "artist_name": "Nova",
    "bio": "two people",
    "website_url": "https://nova.example/",
    "spotify_url": "https://open.spotify.com/artist/4Z8W4fKeB5YxbusRsdQVPb",
    "soundcloud_url": "https://soundcloud.com/nova",
    "bandcamp_url": "https://nova.bandcamp.com",
}


@pytest.fixture
def listed(db: Database, register: Make) -> Make:
    """`await listed("Nova", "Boa")` puts artists there, each of a person of their own."""

    async def add(*names: str, verified: bool = True) -> None:
        rows = []
        for name in names:
            user_id = await register(None)
            async with db.begin() as tx:
                now = await tx.scalar(text("SELECT now()"))
                row = ArtistRow(
                    id=uuid7(),
                    user_id=user_id,
                    artist_name=name,
                    name_key=search_key(name),
                    verified=verified,
                    verified_at=now if verified else None,
                    version=1,
                    created_at=now,
                    updated_at=now,
                )
                tx.add(row)
            rows.append(row)

    return add


async def test_an_artist_profile_is_opened_and_told(
    calling: Make, register: Make, published: Make
) -> None:
    user_id = await register("Ada")
    answer = await calling(user_id=user_id)("POST", "/artists", json=NOVA)
    assert answer.status_code == 201
    body = answer.json()
    assert body["verified"] is False
    assert body["bandcamp_url"] == "https://nova.bandcamp.com/"
    created, state = (await published())[-2:]
    assert isinstance(created, ArtistProfileCreated)
    assert created.links == [
        "https://nova.example/",
        "https://open.spotify.com/artist/4Z8W4fKeB5YxbusRsdQVPb",
        "https://soundcloud.com/nova",
        "https://nova.bandcamp.com/",
    ]
    assert state == ArtistState(
        artist_id=created.artist_id,
        user_id=user_id,
        version=1,
        artist_name="Nova",
        verified=False,
    )
    assert (await calling()("GET", f"/artists/{body['id']}")).json() == body
    assert (await calling(user_id=user_id)("GET", "/artists/me")).json() == body


async def test_a_person_has_one_artist_profile_even_when_asking_at_once(
    calling: Make, register: Make
) -> None:
    me = calling(user_id=await register("Ada"))
    answers = await asyncio.gather(*(me("POST", "/artists", json=NOVA) for _ in range(6)))
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"artist_exists"}


async def test_an_artist_profile_waits_for_the_persons_own(calling: Make) -> None:
    answer = await calling(user_id=uuid7())("POST", "/artists", json=NOVA)
    assert answer.json()["code"] == "profile_pending"


async def test_an_edit_raises_the_version_and_lists_the_links(
    calling: Make, register: Make, published: Make
) -> None:
    me = calling(user_id=await register("Ada"))
    artist = (await me("POST", "/artists", json=NOVA)).json()
    change = {"artist_name": "NOVA", "soundcloud_url": None, "bio": None}
    answer = await me("PATCH", f"/artists/{artist['id']}", json=change)
    assert answer.json()["version"] == 2
    assert answer.json()["soundcloud_url"] is None
    updated, state = (await published())[-2:]
    assert isinstance(updated, ArtistProfileUpdated)
    assert updated.changed == ["artist_name", "bio", "soundcloud_url"]
    assert len(updated.links) == 3
    assert (state.artist_name, state.version) == ("NOVA", 2)


async def test_attack_056_only_the_owner_edits(calling: Make, register: Make) -> None:
    artist = (await calling(user_id=await register("Ada"))("POST", "/artists", json=NOVA)).json()
    path = f"/artists/{artist['id']}"
    stranger = calling(user_id=await register("Mallory"))
    answer = await stranger("PATCH", path, json={"bio": "mine now"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_artist_owner")
    assert (await calling()("PATCH", path, json={"bio": "mine now"})).status_code == 401
    assert (await calling()("GET", path)).json()["bio"] == "two people"


async def test_an_unknown_artist_is_not_found(calling: Make, register: Make) -> None:
    me = calling(user_id=await register("Ada"))
    for method, path in (("GET", f"/artists/{uuid4()}"), ("GET", "/artists/me")):
        answer = await me(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "artist_not_found")
    answer = await me("PATCH", f"/artists/{uuid4()}", json={"bio": "x"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "field", ["verified", "verified_at", "verifiedAt", "user_id", "userId", "id", "version"]
)
async def test_attack_051_nobody_gives_themselves_a_badge(
    calling: Make, register: Make, field: str
) -> None:
    me = calling(user_id=await register("Ada"))
    assert (await me("POST", "/artists", json={**NOVA, field: True})).status_code == 400
    artist = (await me("POST", "/artists", json=NOVA)).json()
    answer = await me("PATCH", f"/artists/{artist['id']}", json={field: True})
    assert answer.status_code == 400
    assert (await me("GET", "/artists/me")).json() == artist


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"artist_name": ""}, "validation_failed"),
        ({"artist_name": "x" * 51}, "validation_failed"),
        ({"artist_name": "No\u202eva"}, "name_refused"),
        ({"spotify_url": "https://soundcloud.com/nova"}, "link_refused"),
        ({"website_url": "http://127.0.0.1/"}, "link_refused"),
        ({"website_url": "https://nova.example/" + "x" * 500}, "validation_failed"),
        ({"bio": 5}, "validation_failed"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_refused(
    calling: Make, register: Make, change: dict[str, Any], code: str
) -> None:
    me = calling(user_id=await register("Ada"))
    answer = await me("POST", "/artists", json={**NOVA, **change})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await me("GET", "/artists/me")).status_code == 404


async def test_search_finds_a_part_of_a_name_in_any_case(calling: Make, listed: Make) -> None:
    await listed("Supernova", "NOVA", "Boa", "Ångström")
    found = (await calling()("GET", "/artists?q=nov")).json()
    assert [a["artist_name"] for a in found["items"]] == ["NOVA", "Supernova"]
    found = (await calling()("GET", "/artists", params={"q": "ÅNGSTRÖM"})).json()
    assert [a["artist_name"] for a in found["items"]] == ["Ångström"]


async def test_search_shows_verified_artists_unless_asked_for_all(
    calling: Make, listed: Make
) -> None:
    await listed("Nova")
    await listed("Nova Two", verified=False)
    verified = (await calling()("GET", "/artists?q=nova")).json()
    everyone = (await calling()("GET", "/artists?q=nova&verified=false")).json()
    assert [a["artist_name"] for a in verified["items"]] == ["Nova"]
    assert [a["artist_name"] for a in everyone["items"]] == ["Nova", "Nova Two"]


async def test_pages_of_a_search_meet_without_gap_or_overlap(calling: Make, listed: Make) -> None:
    names = ["Echo", "echo", "Echo Park", "Écho", "ECHO", "Zecho", "Aecho"]
    await listed(*names)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"q": "", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await calling()("GET", "/artists", params=params)).json()
        seen += [a["id"] for a in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    whole = (await calling()("GET", "/artists?limit=100")).json()["items"]
    assert seen == [a["id"] for a in whole]
    assert len(set(seen)) == len(names)
    keys = [search_key(a["artist_name"]) for a in whole]
    assert keys == sorted(keys)


async def test_a_search_page_holds_twenty_unless_asked(calling: Make, listed: Make) -> None:
    await listed(*(f"Nova {number:02}" for number in range(21)))
    page = (await calling()("GET", "/artists?q=nova")).json()
    assert len(page["items"]) == 20
    assert page["next_cursor"] is not None


@pytest.mark.parametrize("search", ["%", "_", "\\", "%%%", "a%", "' OR 1=1 --", "\x00%"])
async def test_attack_117_metacharacters_match_only_themselves(
    calling: Make, listed: Make, search: str
) -> None:
    await listed("Nova", "Boa")
    answer = await calling()("GET", "/artists", params={"q": search})
    assert answer.status_code == 200
    assert answer.json()["items"] == []


async def test_a_name_with_a_percent_sign_is_found_by_it(calling: Make, listed: Make) -> None:
    await listed("100% Nova", "Nova")
    found = (await calling()("GET", "/artists", params={"q": "0%"})).json()
    assert [a["artist_name"] for a in found["items"]] == ["100% Nova"]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "many"},
        {"q": "x" * 101},
        {"verified": "perhaps"},
        {"cursor": "x"},
        {"cursor": "eyJhIjoxfQ"},
        {"cursor": "x" * 1_001},
    ],
)
async def test_attack_062_a_forged_or_oversized_parameter_is_refused(
    calling: Make, params: dict[str, Any]
) -> None:
    assert (await calling()("GET", "/artists", params=params)).status_code == 400


MANY_ARTISTS = """
WITH person AS (
    INSERT INTO profile (id, handle, handle_skeleton, display_name, version, created_at, updated_at)
    SELECT gen_random_uuid(), 'many' || n, 'many' || n, 'many', 1, now(), now()
    FROM generate_series(1, 5000) AS n
    RETURNING id, handle
)
INSERT INTO artist
    (id, user_id, artist_name, name_key, verified, version, created_at, updated_at)
SELECT gen_random_uuid(), id, handle, handle, false, 1, now(), now() FROM person
"""


async def test_the_search_uses_the_trigram_index(migrated: ServiceDatabase) -> None:
    """Among many, with the index in order: of a few any index will do, and which is chosen then
    depends on when the server last tidied up.
    """
    owner = await asyncpg.connect(migrated.admin_url)
    trying = owner.transaction()
    try:
        await trying.start()
        await owner.execute("SET LOCAL search_path = user_artist, extensions, public")
        await owner.execute(MANY_ARTISTS)
        await owner.execute("SELECT gin_clean_pending_list('ix_artist_name_trigrams')")
        await owner.execute("ANALYZE artist")
        plan = await owner.fetch("EXPLAIN SELECT id FROM artist WHERE name_key LIKE '%nova%'")
        assert "ix_artist_name_trigrams" in "\n".join(line[0] for line in plan)
    finally:
        await trying.rollback()
        await owner.close()
