"""The state Spotify's embedded player starts from: artist and duration without a key."""

from track_unfurl.metadata.durations import from_milliseconds
from track_unfurl.metadata.json_values import decode, member, members
from track_unfurl.metadata.reading import (
    ARTWORK_MAX,
    Picture,
    Reading,
    clean_date,
    clean_names,
    clean_picture,
    clean_text,
)

SOURCE = "spotify_embed"

_MARK = 'id="__NEXT_DATA__"'


def read_spotify_embed(text: str) -> Reading:
    tag = text.find(_MARK)
    start = text.find(">", tag) + 1
    end = text.find("</script", start)
    if tag < 0 or start == 0 or end < 0:
        return Reading(source=SOURCE, verdict="unreadable")
    page = member(decode(text[start:end]), "props", "pageProps")
    if member(page, "status") == 404:
        return Reading(source=SOURCE, verdict="not_found")
    entity = member(page, "state", "data", "entity")
    title = clean_text(member(entity, "name") or member(entity, "title"))
    if title is None:
        return Reading(source=SOURCE, verdict="unreadable")
    return Reading(
        source=SOURCE,
        title=title,
        artists=clean_names(
            member(artist, "name") for artist in members(member(entity, "artists"))
        ),
        artwork=_pictures(member(entity, "visualIdentity", "image")),
        duration_ms=from_milliseconds(member(entity, "duration")),
        release_date=clean_date(member(entity, "releaseDate", "isoString")),
    )


def _pictures(images: object) -> tuple[Picture, ...]:
    found: list[Picture] = []
    for image in members(images)[:ARTWORK_MAX]:
        found += clean_picture(
            member(image, "url"), member(image, "maxWidth"), member(image, "maxHeight")
        )
    # Largest first, as everywhere else.
    return tuple(sorted(found, key=lambda picture: -(picture.width_pixels or 0)))
