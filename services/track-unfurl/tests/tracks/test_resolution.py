"""Cold, cached, stale, partial and impossible links against pretended providers."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from seda_contracts.events.unfurl import TrackResolved, TrackState
from seda_db import Database
from seda_testkit.databases import ServiceDatabase
from seda_testkit.eventually import eventually
from track_unfurl.links.domain import InvalidUrl, UnsupportedUrl
from track_unfurl.tracks import store
from track_unfurl.tracks.cards import card_of
from track_unfurl.tracks.domain import LinkUnreachable, RefusedUrl
from track_unfurl.tracks.resolution import Resolving, unfurl

SPOTIFY = "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC"
DEEZER = "https://www.deezer.com/track/3135556"
BUDGET_SECONDS = 5.0


async def test_spotify_takes_title_from_oembed_and_artist_from_the_player(
    resolving: Resolving, providers: Any
) -> None:
    providers.has_spotify_track("Half a Map", "Nina Ostrova")
    found = await unfurl(resolving, SPOTIFY, budget_seconds=BUDGET_SECONDS)
    card = card_of(found.track)
    assert found.is_final
    assert card.status == "ok"
    assert (card.title, card.artists[0].name) == ("Half a Map", "Nina Ostrova")
    assert card.duration_ms == 184_000
    assert found.track.sources["title"] == "oembed"
    assert found.track.sources["artists"] == "spotify_embed"


async def test_deezer_needs_one_request_and_gives_an_isrc(
    resolving: Resolving, providers: Any
) -> None:
    providers.has_deezer_track()
    found = await unfurl(resolving, DEEZER, budget_seconds=BUDGET_SECONDS)
    card = card_of(found.track)
    assert (card.title, card.isrc, card.album) == ("Copper Sky", "ZZSED2600010", "Maps")
    assert providers.calls == ["api.deezer.com/track/3135556"]


async def test_apple_is_looked_up_in_its_own_country(resolving: Resolving, providers: Any) -> None:
    song = {
        "wrapperType": "track",
        "trackName": "Small Hours",
        "artistName": "Oslo After Nine",
        "trackTimeMillis": 201_000,
    }
    providers.says("itunes.apple.com/lookup", {"resultCount": 1, "results": [song]})
    link = "https://music.apple.com/de/album/x/1440841363?i=1440841450"
    found = await unfurl(resolving, link, budget_seconds=BUDGET_SECONDS)
    assert card_of(found.track).title == "Small Hours"
    assert providers.calls == ["itunes.apple.com/lookup?id=1440841450&country=de"]


async def test_youtube_asks_the_page_for_what_oembed_leaves_out(
    resolving: Resolving, providers: Any
) -> None:
    providers.says(
        "www.youtube.com/oembed", {"title": "Salt & Static", "author_name": "Mira - Topic"}
    )
    providers.shows("www.youtube.com/watch", '<meta itemprop="duration" content="PT3M4S">')
    found = await unfurl(resolving, "https://youtu.be/dQw4w9WgXcQ", budget_seconds=BUDGET_SECONDS)
    card = card_of(found.track)
    assert (card.title, card.artists[0].name) == ("Salt & Static", "Mira")
    assert card.embed_url == "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ"


async def test_soundcloud_and_tidal_and_bandcamp_answer_in_their_own_shapes(
    resolving: Resolving, providers: Any
) -> None:
    providers.says("soundcloud.com/oembed", {"title": "Glass by Mira", "author_name": "Mira"})
    providers.shows(
        "tidal.com/track/77",
        '<meta property="og:title" content="Mira - Echo">'
        '<meta property="music:duration" content="157">',
    )
    providers.has_bandcamp_track(
        "kite-paper.bandcamp.com/track/tram", "Night Tram No. 4", "Kite Paper Club"
    )
    for link, title, artist in [
        ("https://soundcloud.com/mira/glass", "Glass", "Mira"),
        ("https://listen.tidal.com/track/77", "Echo", "Mira"),
        ("https://kite-paper.bandcamp.com/track/tram", "Night Tram No. 4", "Kite Paper Club"),
    ]:
        found = await unfurl(resolving, link, budget_seconds=BUDGET_SECONDS)
        card = card_of(found.track)
        assert (card.title, card.artists[0].name) == (title, artist)


async def test_a_bands_own_domain_is_read_as_bandcamp_but_keeps_its_own_identity(
    resolving: Resolving, providers: Any
) -> None:
    providers.has_bandcamp_track(
        "songs.kite-paper.example/track/tram", "Night Tram No. 4", "Kite Paper Club"
    )
    link = "https://songs.kite-paper.example/track/tram"
    found = await unfurl(resolving, link, budget_seconds=BUDGET_SECONDS)
    assert found.track.provider == "generic"
    assert found.track.sources["title"] == "bandcamp_page"


async def test_a_generic_page_may_name_its_own_oembed(resolving: Resolving, providers: Any) -> None:
    link = '<link rel="alternate" type="application/json+oembed" href="https://blog.example/oe">'
    providers.shows("blog.example/song", f"{link}<title></title>")
    providers.says("blog.example/oe", {"title": "Copper Sky", "author_name": "Mira"})
    found = await unfurl(resolving, "https://blog.example/song", budget_seconds=BUDGET_SECONDS)
    assert card_of(found.track).title == "Copper Sky"


async def test_two_hundred_parallel_cold_requests_make_one_upstream_call(
    resolving: Resolving, providers: Any
) -> None:
    providers.has_deezer_track()
    release = providers.hold("api.deezer.com")
    asking = [
        asyncio.create_task(unfurl(resolving, f"{DEEZER}?n={number}", budget_seconds=20))
        for number in range(200)
    ]
    await eventually(lambda: providers.calls)
    release.set()
    found = await asyncio.gather(*asking)
    assert {card_of(one.track).title for one in found} == {"Copper Sky"}
    assert len(providers.calls) == 1


async def test_two_processes_share_one_fetch_through_the_lease(
    make_resolving: Callable[..., Resolving], providers: Any
) -> None:
    providers.has_deezer_track()
    release = providers.hold("api.deezer.com")
    here, there = make_resolving(), make_resolving()
    first = asyncio.create_task(unfurl(here, DEEZER, budget_seconds=20))
    await eventually(lambda: providers.calls)
    second = asyncio.create_task(unfurl(there, DEEZER, budget_seconds=20))
    await eventually(lambda: there.refreshes.count)
    release.set()
    one, other = await asyncio.gather(first, second)
    assert card_of(one.track) == card_of(other.track)
    assert len(providers.calls) == 1


async def test_a_track_that_became_fresh_since_it_was_read_is_not_leased(
    resolving: Resolving, providers: Any, clock: Any, db: Database
) -> None:
    providers.has_deezer_track()
    found = await unfurl(resolving, DEEZER, budget_seconds=BUDGET_SECONDS)
    until = clock() + timedelta(seconds=10)
    async with db.begin() as tx:
        assert not await store.lease_track(tx, found.track.id, now=clock(), until=until)
    clock.pass_by(timedelta(days=8))
    until = clock() + timedelta(seconds=10)
    async with db.begin() as tx:
        assert await store.lease_track(tx, found.track.id, now=clock(), until=until)


async def test_a_caller_who_leaves_does_not_end_the_fetch_of_the_others(
    resolving: Resolving, providers: Any
) -> None:
    providers.has_deezer_track()
    release = providers.hold("api.deezer.com")
    leaving = asyncio.create_task(unfurl(resolving, DEEZER, budget_seconds=20))
    staying = asyncio.create_task(unfurl(resolving, DEEZER, budget_seconds=20))
    await eventually(lambda: providers.calls)
    leaving.cancel()
    release.set()
    assert card_of((await staying).track).title == "Copper Sky"


async def test_a_slow_provider_is_answered_in_part_and_the_event_follows(
    resolving: Resolving, providers: Any, published: Any
) -> None:
    providers.has_deezer_track()
    release = providers.hold("api.deezer.com")
    providers.hold("www.deezer.com")
    found = await unfurl(resolving, DEEZER, budget_seconds=0.05)
    card = card_of(found.track)
    assert not found.is_final
    assert card.status == "partial"
    assert card.title is None
    assert card.embed_url == "https://widget.deezer.com/widget/auto/track/3135556"
    release.set()

    async def told() -> list[TrackResolved]:
        return [event for event in await published() if isinstance(event, TrackResolved)]

    events = await eventually(told)
    assert events[0].url == DEEZER
    assert events[0].card.title == "Copper Sky"
    assert events[0].card_version > found.track.card_version


async def test_without_any_network_a_provider_link_is_partial_and_nothing_is_invented(
    resolving: Resolving, providers: Any
) -> None:
    providers.fails("open.spotify.com/oembed", 503)
    providers.fails("open.spotify.com/embed/track/4uLU6hMCjMI75M1A2tKUQC", 503)
    found = await unfurl(resolving, SPOTIFY, budget_seconds=BUDGET_SECONDS)
    card = card_of(found.track)
    assert found.track.status == "unreachable"
    assert (card.status, card.title, card.artists) == ("partial", None, [])
    assert card.provider_id == "4uLU6hMCjMI75M1A2tKUQC"
    assert card.embed_url is not None


async def test_a_fresh_track_is_not_asked_again_and_every_spelling_finds_it(
    make_resolving: Callable[..., Resolving], providers: Any
) -> None:
    providers.has_deezer_track()
    await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    other_process = make_resolving()
    again = await unfurl(other_process, "deezer://track/3135556", budget_seconds=BUDGET_SECONDS)
    assert card_of(again.track).title == "Copper Sky"
    assert len(providers.calls) == 1


async def test_a_stale_track_is_answered_at_once_and_revalidated_behind(
    make_resolving: Callable[..., Resolving], providers: Any, clock: Any, published: Any
) -> None:
    providers.has_deezer_track("Copper Sky")
    await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    providers.has_deezer_track("Copper Sky (2026 Remaster)")
    clock.pass_by(timedelta(days=8))
    stale = await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    assert card_of(stale.track).title == "Copper Sky"

    async def newest_version() -> int | None:
        states = [event for event in await published() if isinstance(event, TrackState)]
        return states[-1].version if states[-1].card.title != "Copper Sky" else None

    assert await eventually(newest_version) == 3


async def test_an_outage_keeps_the_last_good_card(
    make_resolving: Callable[..., Resolving], providers: Any, clock: Any
) -> None:
    providers.has_deezer_track()
    await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    providers.fails("api.deezer.com/track/3135556", 503)
    providers.fails("www.deezer.com/track/3135556", 403)
    clock.pass_by(timedelta(days=60))
    found = await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    assert card_of(found.track).title == "Copper Sky"
    assert card_of(found.track).status == "ok"


async def test_a_wall_never_replaces_a_good_entry(
    make_resolving: Callable[..., Resolving], providers: Any, clock: Any
) -> None:
    page = "kite-paper.bandcamp.com/track/tram"
    providers.has_bandcamp_track(page, "Night Tram No. 4", "Kite Paper Club")
    await unfurl(make_resolving(), f"https://{page}", budget_seconds=BUDGET_SECONDS)
    providers.shows(page, "<title>Client Challenge</title>")
    clock.pass_by(timedelta(days=60))
    found = await unfurl(make_resolving(), f"https://{page}", budget_seconds=BUDGET_SECONDS)
    assert found.track.status == "blocked"
    assert card_of(found.track).title == "Night Tram No. 4"


async def test_an_error_told_with_status_200_is_not_found_and_asked_again_later(
    make_resolving: Callable[..., Resolving], providers: Any, clock: Any
) -> None:
    providers.says(
        "api.deezer.com/track/3135556", {"error": {"type": "DataException", "code": 800}}
    )
    found = await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    assert found.track.status == "not_found"
    asked = len(providers.calls)
    await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    assert len(providers.calls) == asked
    clock.pass_by(timedelta(minutes=11))
    providers.has_deezer_track()
    later = await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    assert card_of(later.track).title == "Copper Sky"


async def test_a_short_link_is_followed_once_and_remembered(
    make_resolving: Callable[..., Resolving], providers: Any
) -> None:
    providers.has_deezer_track()
    providers.redirects("link.deezer.com/s/AbC", "https://www.deezer.com/en/track/3135556?x=1")
    for resolving in (make_resolving(), make_resolving()):
        found = await unfurl(
            resolving, "https://link.deezer.com/s/AbC", budget_seconds=BUDGET_SECONDS
        )
        assert found.track.provider_id == "3135556"
    assert len(providers.calls_to("link.deezer.com")) == 1


async def test_a_short_link_that_leaves_its_provider_is_not_followed_into_a_card(
    resolving: Resolving, providers: Any
) -> None:
    providers.redirects("spotify.link/AbC", "https://blog.example/song")
    with pytest.raises(UnsupportedUrl):
        await unfurl(resolving, "https://spotify.link/AbC", budget_seconds=BUDGET_SECONDS)


async def test_a_short_link_that_does_not_answer_says_so(
    make_resolving: Callable[..., Resolving], providers: Any
) -> None:
    providers.hold("spotify.link")
    with pytest.raises(LinkUnreachable):
        await unfurl(make_resolving(), "https://spotify.link/AbC", budget_seconds=0.05)


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1/x", "http://[::1]/x", "http://169.254.169.254/", "http://0x7f.1/"]
)
async def test_an_address_of_our_own_network_is_refused_and_leaves_no_row(
    resolving: Resolving, providers: Any, db: Database, link: str
) -> None:
    with pytest.raises(RefusedUrl):
        await unfurl(resolving, link, budget_seconds=BUDGET_SECONDS)
    async with db.read() as tx:
        connection = await tx.connection()
        rows = await connection.exec_driver_sql("SELECT count(*) FROM unfurl.track_ref")
    assert rows.scalar_one() == 0


async def test_a_redirect_into_our_own_network_is_refused(
    resolving: Resolving, providers: Any
) -> None:
    providers.redirects("blog.example/song", "http://127.0.0.1:6379/")
    found = await unfurl(resolving, "https://blog.example/song", budget_seconds=BUDGET_SECONDS)
    assert found.track.status == "refused"


async def test_text_without_a_link_is_invalid(resolving: Resolving) -> None:
    with pytest.raises(InvalidUrl):
        await unfurl(resolving, "no link here", budget_seconds=BUDGET_SECONDS)


async def test_a_dead_process_loses_its_lease(
    make_resolving: Callable[..., Resolving],
    providers: Any,
    clock: Any,
    migrated: ServiceDatabase,
) -> None:
    providers.has_deezer_track()
    held = providers.hold("api.deezer.com")
    providers.hold("www.deezer.com")
    dying = make_resolving()
    await unfurl(dying, DEEZER, budget_seconds=0.05)
    await dying.refreshes.close()
    clock.pass_by(timedelta(seconds=11))
    held.set()
    found = await unfurl(make_resolving(), DEEZER, budget_seconds=BUDGET_SECONDS)
    assert card_of(found.track).title == "Copper Sky"
