"""oEmbed answers (JSON only). Their HTML is never used: players are built from ids."""

import re

from track_unfurl.metadata.json_values import decode, member
from track_unfurl.metadata.reading import Reading, clean_names, clean_picture, clean_text

SOURCE = "oembed"

# Only a channel that YouTube itself made for an artist names an artist; any other may be a fan.
_TOPIC = re.compile(r"(.+) - Topic", re.S)


def read_oembed(body: bytes, provider: str) -> Reading:
    answer = decode(body)
    title = clean_text(member(answer, "title"))
    if title is None:
        return Reading(source=SOURCE, verdict="unreadable")
    author = clean_text(member(answer, "author_name"))
    artists: tuple[str, ...] = clean_names([author])
    match provider:
        case "generic":
            # The author of a page is whoever wrote it, not who sings on it.
            artists = ()
        case "youtube":
            topic = _TOPIC.fullmatch(author or "")
            artists = clean_names([topic[1]] if topic else [])
        case "soundcloud" if author and title.endswith(f" by {author}"):
            title = title[: -len(f" by {author}")]
        case "tidal" if not author and " by " in title:
            title, _, artist = title.rpartition(" by ")
            artists = clean_names([artist])
    return Reading(
        source=SOURCE,
        title=clean_text(title),
        artists=artists,
        artwork=clean_picture(
            member(answer, "thumbnail_url") or member(answer, "image"),
            member(answer, "thumbnail_width"),
            member(answer, "thumbnail_height"),
        ),
    )
