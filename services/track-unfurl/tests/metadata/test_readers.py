"""Each source's shape, invented songs only, gives typed fields; strange bytes give none."""

import html
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from track_unfurl.metadata.bandcamp import read_bandcamp
from track_unfurl.metadata.deezer import read_deezer
from track_unfurl.metadata.durations import duration_ms
from track_unfurl.metadata.itunes import read_itunes
from track_unfurl.metadata.json_ld import read_json_ld
from track_unfurl.metadata.oembed import read_oembed
from track_unfurl.metadata.page import read_page
from track_unfurl.metadata.reading import (
    Reading,
    clean_date,
    clean_isrc,
    clean_names,
    clean_picture,
    clean_text,
    merge,
)
from track_unfurl.metadata.spotify_embed import read_spotify_embed


def page(head: str, body: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def metas(**tags: str) -> str:
    return "".join(
        f'<meta property="{name.replace("__", ":")}" content="{html.escape(value)}">'
        for name, value in tags.items()
    )


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("PT3M4S", 184_000),
        ("PT1M35S", 95_000),
        ("P00H03M29S", 209_000),
        ("P2M37S", 157_000),
        ("PT0.5S", 500),
        ("PT1H", 3_600_000),
        ("157", 157_000),
        (157, 157_000),
        (209.32, 209_320),
        ("3:04", 184_000),
        ("1:02:03", 3_723_000),
        ("P", None),
        ("PT", None),
        ("", None),
        (0, None),
        (-5, None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        ("P1Y", None),
        ("9" * 30, None),
        (10**9, None),
        (None, None),
        ([], None),
    ],
)
def test_durations_are_read_as_they_are_really_written(
    value: object, milliseconds: int | None
) -> None:
    assert duration_ms(value) == milliseconds


def test_text_loses_controls_and_direction_marks_and_is_composed_and_cut() -> None:
    assert clean_text("  a\x00b\n\tc  ") == "a b c"
    assert clean_text("evil\u202egnp.exe") == "evilgnp.exe"
    assert clean_text("e\u0301") == "\u00e9"
    assert clean_text("\u200b\ufeff") is None
    assert len(clean_text("x" * 5_000) or "") == 300
    assert clean_text(12) is None


def test_names_are_unique_and_at_most_twenty() -> None:
    assert clean_names(["A", "A", "", "B"]) == ("A", "B")
    assert len(clean_names(str(number) for number in range(100))) == 20


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://127.0.0.1/x.png",
        "http://2130706433/x.png",
        "http://[::1]/x.png",
        "http://localhost/x.png",
        "http://db.internal/x.png",
        "https://user:secret@img.example/x.png",
        "/relative.png",
        "",
        "x" * 3_000,
        None,
    ],
)
def test_artwork_that_is_not_a_public_web_address_is_dropped(url: object) -> None:
    assert clean_picture(url) == ()


def test_small_fields_are_checked_by_form() -> None:
    assert clean_isrc("zz-sed-26-00001") == "ZZSED2600001"
    assert clean_isrc("nonsense") is None
    assert clean_date("2026-03-01T00:00:00Z") == "2026-03-01"
    assert clean_date("01 Mar 2026") is None


def test_merging_takes_each_field_from_the_first_source_that_knows_it() -> None:
    merged = merge(
        [
            Reading(source="oembed", title="Half a Map"),
            Reading(source="spotify_embed", title="Half A Map (x)", artists=("Nina Ostrova",)),
        ]
    )
    assert merged.title == "Half a Map"
    assert merged.artists == ("Nina Ostrova",)
    assert dict(merged.sources) == {"title": "oembed", "artists": "spotify_embed"}


def test_a_spotify_embed_page_gives_artist_and_duration() -> None:
    state = {
        "props": {
            "pageProps": {
                "state": {
                    "data": {
                        "entity": {
                            "type": "track",
                            "name": "Half a Map",
                            "artists": [{"name": "Nina Ostrova"}, {"name": "Dub Cartographer"}],
                            "duration": 184_500,
                            "releaseDate": {"isoString": "2026-02-01T00:00:00Z"},
                            "visualIdentity": {
                                "image": [
                                    {
                                        "url": "https://img.example/64",
                                        "maxWidth": 64,
                                        "maxHeight": 64,
                                    },
                                    {
                                        "url": "https://img.example/640",
                                        "maxWidth": 640,
                                        "maxHeight": 640,
                                    },
                                ]
                            },
                        }
                    }
                }
            }
        }
    }
    text = f'<script id="__NEXT_DATA__" type="application/json">{json.dumps(state)}</script>'
    reading = read_spotify_embed(text)
    assert reading.title == "Half a Map"
    assert reading.artists == ("Nina Ostrova", "Dub Cartographer")
    assert reading.duration_ms == 184_500
    assert reading.artwork[0].width_pixels == 640
    assert reading.release_date == "2026-02-01"


def test_a_spotify_embed_page_without_the_track_says_not_found() -> None:
    text = '<script id="__NEXT_DATA__">{"props":{"pageProps":{"status":404}}}</script>'
    assert read_spotify_embed(text).verdict == "not_found"


def test_itunes_gives_album_and_larger_artwork() -> None:
    reading = read_itunes(
        b'{"resultCount":1,"results":[{"wrapperType":"track","trackName":"Small Hours",'
        b'"artistName":"Oslo After Nine","collectionName":"Walking Home","trackTimeMillis":201000,'
        b'"artworkUrl100":"https://art.example/a/100x100bb.jpg","releaseDate":"2025-01-02T08:00:00Z"}]}'
    )
    assert (reading.title, reading.artists, reading.album) == (
        "Small Hours",
        ("Oslo After Nine",),
        "Walking Home",
    )
    assert reading.artwork[0].url == "https://art.example/a/600x600bb.jpg"
    assert reading.duration_ms == 201_000
    assert read_itunes(b'{"resultCount":0,"results":[]}').verdict == "not_found"


def test_deezer_gives_an_isrc_and_its_errors_come_as_200() -> None:
    reading = read_deezer(
        b'{"id":1,"title":"Copper Sky","isrc":"ZZSED2600010",'
        b'"duration":"184","release_date":"2026-01-01",'
        b'"artist":{"name":"Dub Cartographer"},"contributors":['
        b'{"name":"Dub Cartographer"},{"name":"Mira"}],'
        b'"album":{"title":"Maps","cover_xl":"https://img.example/xl.jpg"}}'
    )
    assert reading.isrc == "ZZSED2600010"
    assert reading.artists == ("Dub Cartographer", "Mira")
    assert reading.duration_ms == 184_000
    assert read_deezer(b'{"error":{"type":"DataException","code":800}}').verdict == "not_found"
    assert read_deezer(b'{"error":{"type":"Exception","code":4}}').verdict == "busy"


def test_oembed_titles_follow_each_providers_habit() -> None:
    soundcloud = read_oembed(
        b'{"title":"Glass Orchard by Mira","author_name":"Mira"}', "soundcloud"
    )
    assert (soundcloud.title, soundcloud.artists) == ("Glass Orchard", ("Mira",))
    topic = read_oembed(b'{"title":"Salt","author_name":"Mira - Topic"}', "youtube")
    assert topic.artists == ("Mira",)
    channel = read_oembed(b'{"title":"Mira - Salt (live)","author_name":"somebody42"}', "youtube")
    assert channel.artists == ()
    assert channel.title == "Mira - Salt (live)"


def test_a_bandcamp_page_gives_the_track_behind_its_player() -> None:
    tralbum = {
        "artist": "Kite Paper Club",
        "item_type": "track",
        "art_id": 77,
        "current": {"title": "Night Tram No. 4", "release_date": "2026"},
        "trackinfo": [{"duration": 203.5}],
    }
    text = f'<script data-tralbum="{html.escape(json.dumps(tralbum))}"></script>'
    reading = read_bandcamp(text)
    assert reading.title == "Night Tram No. 4"
    assert reading.artists == ("Kite Paper Club",)
    assert reading.duration_ms == 203_500
    assert reading.artwork[0].url == "https://f4.bcbits.com/img/a77_10.jpg"


def test_a_tidal_page_gives_minutes_where_it_writes_months() -> None:
    recording = {
        "@type": "MusicRecording",
        "name": "Echo Cartography",
        "byArtist": [{"@type": "MusicGroup", "name": "Mira"}],
        "duration": "P2M37S",
    }
    head = metas(og__title="Mira - Echo Cartography", music__duration="157") + (
        f'<script type="application/ld+json">{json.dumps(recording)}</script>'
    )
    json_ld, open_graph = read_page(page(head), "text/html", "tidal")
    assert json_ld.duration_ms == open_graph.duration_ms == 157_000
    assert open_graph.title == "Echo Cartography"
    assert open_graph.artists == ("Mira",)


def test_apple_and_spotify_and_deezer_pages_tell_the_artist_in_their_own_way() -> None:
    apple = read_page(page(metas(og__title="Salt by Mira & Co on Apple Music")), "", "apple_music")
    assert (apple[1].title, apple[1].artists) == ("Salt", ("Mira & Co",))
    line = metas(og__title="Salt", og__description="Mira · Song · 2026")
    assert read_page(page(line), "", "spotify")[1].artists == ("Mira",)
    creator = metas(og__title="Salt", twitter__creator="Mira")
    assert read_page(page(creator), "", "deezer")[1].artists == ("Mira",)


@pytest.mark.parametrize(
    "title",
    ["Client Challenge", "Just a moment...", "Before you continue to YouTube", "Access Denied"],
)
def test_a_bot_wall_is_blocked_and_never_a_title(title: str) -> None:
    readings = read_page(page(f"<title>{title}</title>"), "text/html", "bandcamp")
    assert [reading.verdict for reading in readings] == ["blocked"]
    assert merge(readings).title is None


def test_a_song_that_is_called_like_a_wall_is_a_song() -> None:
    head = metas(og__title="Access Denied", og__type="music.song")
    assert merge(read_page(page(head), "text/html", "generic")).title == "Access Denied"


def test_the_author_of_an_ordinary_page_is_no_artist() -> None:
    reading = read_oembed(b'{"title":"My week","author_name":"a blogger"}', "generic")
    assert (reading.title, reading.artists) == ("My week", ())


def test_a_page_that_only_names_its_site_has_no_title() -> None:
    head = metas(og__title="Spotify", og__site_name="Spotify")
    assert merge(read_page(page(head), "text/html", "spotify")).title is None


def test_a_soft_404_is_not_found_but_a_song_called_404_is_a_song() -> None:
    assert read_page(page("<title>Page not found</title>"), "", "generic")[0].verdict == "not_found"
    song = metas(og__title="404", og__type="music.song")
    assert merge(read_page(page(song), "", "generic")).title == "404"


def test_open_graph_in_name_attributes_and_single_or_no_quotes_is_read() -> None:
    head = "<META content='Tom &amp; \"Jerry\"' name=og:title><meta property=og:image content=https://i.example/a>"
    merged = merge(read_page(page(head), "text/html", "generic"))
    assert merged.title == 'Tom & "Jerry"'
    assert merged.artwork[0].url == "https://i.example/a"


def test_a_description_holding_markup_signs_does_not_hide_later_tags() -> None:
    head = (
        '<meta name="description" content="we <3 > you"><meta property="og:title" content="Salt">'
    )
    assert merge(read_page(page(head), "", "generic")).title == "Salt"


def test_tags_in_comments_scripts_and_visitors_words_are_not_the_pages() -> None:
    head = (
        '<!-- <meta property="og:title" content="comment"> -->'
        '<script>var a = \'<meta property="og:title" content="script">\'</script>'
        '<meta property="og:title" content="real">'
    )
    body = '<meta property="music:duration" content="1">'
    readings = read_page(page(head, body), "", "generic")
    assert merge(readings).title == "real"
    assert merge(readings).duration_ms is None


def test_entities_are_decoded_once() -> None:
    head = '<meta property="og:title" content="&amp;lt;b&amp;gt;">'
    assert merge(read_page(page(head), "", "generic")).title == "&lt;b&gt;"


def test_json_ld_prefers_the_recording_over_the_site() -> None:
    graph = {
        "@graph": [
            {"@type": "WebSite", "name": "Tunes"},
            {"@type": ["Thing", "MusicRecording"], "name": "Salt"},
        ]
    }
    assert read_json_ld(["not json", json.dumps(graph)]).title == "Salt"


@given(st.binary(max_size=2_000), st.sampled_from(["generic", "spotify", "bandcamp", "tidal"]))
def test_any_bytes_are_answered_without_raising(body: bytes, provider: str) -> None:
    read_page(body.decode("latin-1"), "", provider)
    read_oembed(body, provider)
    read_itunes(body)
    read_deezer(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "title",
                    "artist",
                    "name",
                    "error",
                    "code",
                    "results",
                    "duration",
                    "image",
                    "@type",
                    "byArtist",
                    "props",
                    "current",
                    "trackinfo",
                    "artists",
                    "contributors",
                    "album",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
@example({"error": {"code": []}})
def test_any_json_is_answered_without_raising(value: object) -> None:
    text = json.dumps(value)
    read_deezer(text.encode())
    read_itunes(text.encode())
    read_oembed(text.encode(), "soundcloud")
    read_json_ld([text, json.dumps({"@type": "MusicRecording", "name": value, "image": value})])
    read_spotify_embed(f'<script id="__NEXT_DATA__">{text}</script>')
    read_bandcamp(f'<script data-tralbum="{html.escape(text)}">')
