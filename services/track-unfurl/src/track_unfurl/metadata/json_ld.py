"""schema.org descriptions of recordings, albums and episodes."""

import html

from track_unfurl.metadata.durations import duration_ms
from track_unfurl.metadata.json_values import decode, member, members, objects
from track_unfurl.metadata.reading import (
    ARTWORK_MAX,
    Picture,
    Reading,
    clean_date,
    clean_isrc,
    clean_names,
    clean_picture,
    clean_text,
)

SOURCE = "json_ld"

_TYPES = ("MusicRecording", "MusicVideoObject", "MusicAlbum", "PodcastEpisode", "MusicPlaylist")


def read_json_ld(scripts: list[str]) -> Reading:
    """The most track-like object of all scripts; a page may describe its site in others."""
    best: dict[str, object] | None = None
    rank = len(_TYPES)
    for script in scripts:
        for node in objects(decode(script.strip())):
            found = _rank(node)
            if found < rank:
                best, rank = node, found
    if best is None:
        return Reading(source=SOURCE, verdict="unreadable")
    return Reading(
        source=SOURCE,
        title=_text(best.get("name")),
        artists=clean_names(_name(person) for person in members(_people(best))),
        album=_text(_name(best.get("inAlbum"))),
        artwork=_pictures(best.get("image") or best.get("thumbnailUrl")),
        duration_ms=duration_ms(best.get("duration") or best.get("timeRequired")),
        isrc=clean_isrc(best.get("isrcCode")),
        release_date=clean_date(best.get("datePublished")),
    )


def _rank(node: dict[str, object]) -> int:
    kinds = members(node.get("@type"))
    return next((rank for rank, kind in enumerate(_TYPES) if kind in kinds), len(_TYPES))


def _people(node: dict[str, object]) -> object:
    return node.get("byArtist") or member(node, "recordingOf", "composer") or node.get("author")


def _name(value: object) -> object:
    found = value.get("name") if isinstance(value, dict) else value
    return html.unescape(found) if isinstance(found, str) else None


def _text(value: object) -> str | None:
    """Many sites escape inside the script although the standard says the text is raw."""
    return clean_text(html.unescape(value)) if isinstance(value, str) else None


def _pictures(value: object) -> tuple[Picture, ...]:
    found: list[Picture] = []
    for picture in members(value)[:ARTWORK_MAX]:
        if isinstance(picture, dict):
            url = picture.get("url") or picture.get("contentUrl")
            found += clean_picture(url, picture.get("width"), picture.get("height"))
        else:
            found += clean_picture(picture)
    return tuple(found)
