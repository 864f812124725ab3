"""Bandcamp's `data-tralbum` attribute: the JSON its own player reads."""

import html

from track_unfurl.metadata.durations import duration_ms
from track_unfurl.metadata.json_values import decode, member
from track_unfurl.metadata.reading import (
    Reading,
    clean_date,
    clean_isrc,
    clean_names,
    clean_picture,
    clean_text,
    whole_number,
)

SOURCE = "bandcamp_page"
TRALBUM_LENGTH_MAX = 400_000

_ATTRIBUTE = 'data-tralbum="'


def read_bandcamp(text: str) -> Reading:
    start = text.find(_ATTRIBUTE) + len(_ATTRIBUTE)
    end = text.find('"', start, start + TRALBUM_LENGTH_MAX)
    if start < len(_ATTRIBUTE) or end < 0:
        return Reading(source=SOURCE, verdict="unreadable")
    tralbum = decode(html.unescape(text[start:end]))
    title = clean_text(member(tralbum, "current", "title"))
    if title is None:
        return Reading(source=SOURCE, verdict="unreadable")
    is_track = member(tralbum, "item_type") == "track" or member(tralbum, "current", "type") == (
        "track"
    )
    art_id = whole_number(member(tralbum, "art_id"))
    return Reading(
        source=SOURCE,
        title=title,
        artists=clean_names([member(tralbum, "artist")]),
        album=clean_text(member(tralbum, "album_title")),
        artwork=clean_picture(f"https://f4.bcbits.com/img/a{art_id}_10.jpg") if art_id else (),
        duration_ms=duration_ms(member(tralbum, "trackinfo", 0, "duration")) if is_track else None,
        isrc=clean_isrc(member(tralbum, "current", "isrc")),
        release_date=clean_date(member(tralbum, "current", "release_date")),
    )
