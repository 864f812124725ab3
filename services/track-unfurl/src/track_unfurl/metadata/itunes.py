"""The iTunes lookup: everything but an ISRC, for tracks, albums and artists."""

from track_unfurl.metadata.durations import from_milliseconds
from track_unfurl.metadata.json_values import decode, member
from track_unfurl.metadata.reading import (
    Picture,
    Reading,
    clean_date,
    clean_names,
    clean_picture,
    clean_text,
)

SOURCE = "itunes_lookup"


def read_itunes(body: bytes) -> Reading:
    answer = decode(body)
    if member(answer, "resultCount") == 0:
        return Reading(source=SOURCE, verdict="not_found")
    entry = member(answer, "results", 0)
    title = clean_text(
        member(entry, "trackName") or member(entry, "collectionName") or member(entry, "artistName")
    )
    if title is None:
        return Reading(source=SOURCE, verdict="unreadable")
    is_artist = member(entry, "wrapperType") == "artist"
    is_track = member(entry, "trackName") is not None
    return Reading(
        source=SOURCE,
        title=title,
        artists=() if is_artist else clean_names([member(entry, "artistName")]),
        album=clean_text(member(entry, "collectionName")) if is_track else None,
        artwork=_artwork(member(entry, "artworkUrl100")),
        duration_ms=from_milliseconds(member(entry, "trackTimeMillis")),
        release_date=clean_date(member(entry, "releaseDate")),
    )


def _artwork(url: object) -> tuple[Picture, ...]:
    """The size is part of the path; 600 pixels is what the store itself shows."""
    if not isinstance(url, str) or "/100x100" not in url:
        return clean_picture(url)
    return clean_picture(url.replace("/100x100", "/600x600"), 600, 600)
