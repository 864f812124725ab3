"""Deezer's open API, which answers 200 for its errors too."""

from track_unfurl.metadata.durations import duration_ms
from track_unfurl.metadata.json_values import decode, member, members
from track_unfurl.metadata.reading import (
    Reading,
    Verdict,
    clean_date,
    clean_isrc,
    clean_names,
    clean_picture,
    clean_text,
)

SOURCE = "deezer_api"
COVER_PIXELS = 1_000

_VERDICT_BY_ERROR: dict[int, Verdict] = {4: "busy", 700: "busy", 800: "not_found"}


def read_deezer(body: bytes) -> Reading:
    answer = decode(body)
    if isinstance(member(answer, "error"), dict):
        code = member(answer, "error", "code")
        verdict = (
            _VERDICT_BY_ERROR.get(code, "unreadable") if isinstance(code, int) else "unreadable"
        )
        return Reading(source=SOURCE, verdict=verdict)
    title = clean_text(member(answer, "title") or member(answer, "name"))
    if title is None:
        return Reading(source=SOURCE, verdict="unreadable")
    people = [member(answer, "artist"), *members(member(answer, "contributors"))]
    cover = (
        member(answer, "album", "cover_xl")
        or member(answer, "cover_xl")
        or member(answer, "picture_xl")
    )
    return Reading(
        source=SOURCE,
        title=title,
        artists=clean_names(member(person, "name") for person in people),
        album=clean_text(member(answer, "album", "title")),
        artwork=clean_picture(cover, COVER_PIXELS, COVER_PIXELS),
        duration_ms=duration_ms(member(answer, "duration")),
        isrc=clean_isrc(member(answer, "isrc")),
        release_date=clean_date(member(answer, "release_date")),
    )
