"""The pages' words: OpenGraph and JSON-LD as a present-day catalogue writes them."""

import html
import json
from collections.abc import Sequence

from seda_demosites.catalogue import Artist, Track

CHALLENGE = (
    "<!doctype html><html><head><title>Client Challenge</title></head>"
    "<body><p>JavaScript is disabled in your browser.</p></body></html>"
)
NOT_FOUND = (
    "<!doctype html><html><head><title>Page not found</title></head>"
    "<body><h1>Page not found</h1></body></html>"
)


def track_page(track: Track) -> str:
    address = _address(track)
    tags = {
        "og:site_name": "Tunes",
        "og:type": "music.song",
        "og:title": track.title,
        "og:description": f"{track.artist.name} · Song · 2026",
        "og:url": address,
        "og:image": _cover(track),
        "music:duration": str(track.duration_seconds),
    }
    metas = "\n".join(
        f'<meta property="{name}" content="{html.escape(value)}">' for name, value in tags.items()
    )
    title, artist = html.escape(track.title), html.escape(track.artist.name)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} by {artist} | Tunes</title>
<link rel="canonical" href="{address}">
<link rel="alternate" type="application/json+oembed" href="http://tunes.example/oembed?url={address}">
{metas}
<script type="application/ld+json">{_script_json(_recording(track))}</script>
</head><body><h1>{title}</h1><p>{artist}</p><img src="{_cover(track)}" alt=""></body></html>
"""


def catalogue_page(tracks: Sequence[Track]) -> str:
    return _list_page("Tunes", [(f"/track/{track.id}", track.title) for track in tracks])


def artists_page(artists: Sequence[Artist]) -> str:
    return _list_page("Artists", [(f"/{artist.slug}", artist.name) for artist in artists])


def artist_page(artist: Artist, about: str, comments: Sequence[str]) -> str:
    name = html.escape(artist.name)
    posted = "\n".join(f'<p class="comment">{html.escape(comment)}</p>' for comment in comments)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name} | Artists</title>
<meta property="og:type" content="profile"><meta property="og:title" content="{name}">
<meta property="og:url" content="http://artists.example/{artist.slug}"></head>
<body><h1>{name}</h1>
<section class="about"><p>{html.escape(about)}</p></section>
<section class="comments"><h2>Comments</h2>
{posted}
</section></body></html>
"""


def oembed_answer(track: Track) -> dict[str, object]:
    return {
        "version": "1.0",
        "type": "rich",
        "provider_name": "Tunes",
        "title": track.title,
        "author_name": track.artist.name,
        "thumbnail_url": _cover(track),
        "thumbnail_width": 640,
        "thumbnail_height": 640,
        "html": "",
    }


def _list_page(title: str, links: Sequence[tuple[str, str]]) -> str:
    rows = "\n".join(f'<li><a href="{path}">{html.escape(text)}</a></li>' for path, text in links)
    head = f"<head><title>{title}</title></head>"
    return f"<!doctype html><html>{head}<body><ul>{rows}</ul></body></html>"


def _recording(track: Track) -> dict[str, object]:
    minutes, seconds = divmod(track.duration_seconds, 60)
    return {
        "@context": "https://schema.org",
        "@type": "MusicRecording",
        "name": track.title,
        "url": _address(track),
        "byArtist": {
            "@type": "MusicGroup",
            "name": track.artist.name,
            "url": f"http://artists.example/{track.artist.slug}",
        },
        "duration": f"PT{minutes}M{seconds}S",
        "isrcCode": track.isrc,
        "image": _cover(track),
    }


def _script_json(value: dict[str, object]) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def _address(track: Track) -> str:
    return f"http://tunes.example/track/{track.id}"


def _cover(track: Track) -> str:
    return f"http://tunes.example/cover/{track.id}.svg"
