"""A whole page: bot walls first, then JSON-LD, then OpenGraph with each provider's habits."""

import re

from track_unfurl.metadata.bandcamp import read_bandcamp
from track_unfurl.metadata.durations import duration_ms
from track_unfurl.metadata.head import Head, scan
from track_unfurl.metadata.json_ld import read_json_ld
from track_unfurl.metadata.reading import (
    Picture,
    Reading,
    clean_date,
    clean_names,
    clean_picture,
    clean_text,
)

SOURCE = "open_graph"

# Titles of walls between a bot and a page. Kept as a title they would be shown as a song.
_WALL = re.compile(
    r"client challenge|just a moment|attention required|access denied|access to this page|"
    r"before you continue|are you a (?:robot|human)|verif(?:y|ying) (?:that )?you are|"
    r"ddos-guard|security check|please wait|robot check|one more step|request blocked|"
    r"captcha|403 forbidden|429 too many",
    re.I,
)
_SOFT_404 = re.compile(r"(?:404\b|error 404|page not found|not found\b|no encontrad)", re.I)
_APPLE_TITLE = re.compile(r"(.+) by (.+?)(?: on Apple\s?Music)?", re.S)
_SPOTIFY_LINE = re.compile(r"([^·]+) · (?:Song|Album|Single|EP|Playlist) · .+", re.S)


def read_page(text: str, content_type: str, provider: str) -> tuple[Reading, ...]:
    """Readings in order of trust. A wall gives one reading that says blocked and nothing else."""
    if content_type and not re.search(r"html|xml|text/plain", content_type, re.I):
        return (Reading(source=SOURCE, verdict="unreadable"),)
    head = scan(text)
    described = head.first("og:title", "twitter:title")
    # Songs are called Access Denied, too; a wall never describes itself as an object of a type.
    if is_wall(described or head.title) and not (described and head.first("og:type")):
        return (Reading(source=SOURCE, verdict="blocked"),)
    if not described and not head.json_ld and _SOFT_404.match((head.title or "").strip()):
        return (Reading(source=SOURCE, verdict="not_found"),)
    readings = [read_json_ld(head.json_ld), read_open_graph(head, provider)]
    is_bandcamp = "bandcamp" in (head.first("generator") or "").lower()
    if provider == "bandcamp" or is_bandcamp:
        readings.insert(0, read_bandcamp(text))
    return tuple(readings)


def oembed_link(text: str) -> str | None:
    """The page's own oEmbed address; the caller asks it through the same guard."""
    return scan(text).oembed_url


def is_wall(title: str | None) -> bool:
    return bool(title and len(title) < 120 and _WALL.match(title.strip()))


def read_open_graph(head: Head, provider: str) -> Reading:
    title, artists = _title_and_artists(head, provider)
    return Reading(
        source=SOURCE,
        verdict="found" if title else "unreadable",
        title=title,
        artists=artists,
        album=clean_text(head.first("music:album:title")),
        artwork=_artwork(head),
        duration_ms=duration_ms(
            head.first("music:duration", "music:song:duration", "itemprop:duration")
        ),
        release_date=clean_date(head.first("music:release_date", "itemprop:datepublished")),
    )


def _title_and_artists(head: Head, provider: str) -> tuple[str | None, tuple[str, ...]]:
    title = clean_text(head.first("og:title", "twitter:title"))
    site = clean_text(head.first("og:site_name"))
    named = clean_names([head.first("music:musician_description", "twitter:audio:artist_name")])
    if title is None and provider == "generic":
        title = clean_text(head.title)
    if title is None or (site is not None and title.casefold() == site.casefold()):
        # A page that names only its site says nothing about the track.
        return None, named
    match provider:
        case "tidal" if " - " in title:
            artist, _, song = title.partition(" - ")
            return clean_text(song), clean_names([artist])
        case "apple_music" if found := _APPLE_TITLE.fullmatch(title):
            return clean_text(found[1]), clean_names([found[2]])
        case "deezer" if not named:
            return title, clean_names([head.first("twitter:creator")])
        case "spotify" if not named:
            line = _SPOTIFY_LINE.fullmatch(head.first("og:description") or "")
            return title, clean_names([line[1]] if line else [])
    return title, named


def _artwork(head: Head) -> tuple[Picture, ...]:
    return clean_picture(
        head.first("og:image:secure_url", "og:image", "twitter:image"),
        head.first("og:image:width"),
        head.first("og:image:height"),
    )
