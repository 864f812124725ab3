"""The public paths, as the gateway asks them."""

from typing import Any

import pytest

DEEZER = "https://www.deezer.com/track/3135556"


async def test_a_link_becomes_a_card_with_its_provenance(get: Any, providers: Any) -> None:
    providers.has_deezer_track()
    answer = await get("/tracks/unfurl", url=DEEZER)
    body = answer.json()
    assert answer.status_code == 200
    assert body["title"] == "Copper Sky"
    assert body["artists"] == [{"name": "Dub Cartographer", "url": None}]
    assert body["status"] == "ok"
    assert body["sources"]["isrc"] == "deezer_api"
    assert body["embed_url"] == "https://widget.deezer.com/widget/auto/track/3135556"
    again = await get(f"/tracks/{body['track_id']}")
    assert again.json()["title"] == "Copper Sky"


async def test_a_slow_provider_is_answered_within_the_budget_with_202(
    get: Any, providers: Any
) -> None:
    providers.has_deezer_track()
    providers.hold("api.deezer.com")
    providers.hold("www.deezer.com")
    answer = await get("/tracks/unfurl", url=DEEZER)
    assert answer.status_code == 202
    assert answer.elapsed.total_seconds() < 2
    assert answer.json()["status"] == "partial"
    assert answer.json()["provider_id"] == "3135556"
    assert "title" not in answer.json()


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("nonsense", 400, "invalid_url"),
        ("mailto:a@b.example", 422, "unsupported_url"),
        ("https://open.spotify.com/search/love", 422, "unsupported_url"),
        ("http://169.254.169.254/latest", 422, "refused_url"),
        ("http://localhost.localdomain/", 422, "refused_url"),
        ("https://www.deezer.com/track/404404", 404, "track_not_found"),
        ("", 400, "invalid_url"),
        ("x" * 5_000, 400, "invalid_url"),
    ],
)
async def test_a_link_that_cannot_be_a_card_says_why(
    get: Any, providers: Any, url: str, status: int, code: str
) -> None:
    error = {"error": {"type": "DataException", "code": 800}}
    providers.says("api.deezer.com/track/404404", error)
    answer = await get("/tracks/unfurl", url=url)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_unknown_track_is_not_found(get: Any) -> None:
    answer = await get("/tracks/00000000-0000-7000-8000-000000000000")
    assert (answer.status_code, answer.json()["code"]) == (404, "track_not_found")


async def test_popular_tracks_may_be_cached_for_five_minutes(get: Any) -> None:
    answer = await get("/tracks/popular")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json()["items"] == []
    assert answer.json()["next_cursor"] is None


async def test_a_call_that_did_not_come_through_the_gateway_is_refused(client: Any) -> None:
    answer = await client.get("/api/v1/tracks/popular")
    assert answer.status_code == 401
