"""Apple Music and the old iTunes store: one number per entry, the same in every country."""

import re

from track_unfurl.links.canonical import Canonical, LinkParts, Provider, id_under_kind

_COUNTRY = re.compile(r"[a-z]{2}", re.I)
_NUMBER = re.compile(r"(?:id)?([0-9]{1,20})")
_LISTED = re.compile(r"(?:pl|ra)\.[0-9A-Za-z-]{1,80}")
_KINDS = {
    "album": "album",
    "song": "track",
    "artist": "artist",
    "playlist": "playlist",
    "music-video": "video",
    "station": "station",
}
_PATHS = {kind: path for path, kind in _KINDS.items()}


def read(parts: LinkParts) -> Canonical | None:
    segments, country = parts.segments, "us"
    if segments and _COUNTRY.fullmatch(segments[0]):
        country, segments = segments[0].lower(), segments[1:]
    if len(segments) < 2 or (kind := _KINDS.get(segments[0])) is None:
        return None
    entry_id = _entry_id(segments[-1])
    track_id = _NUMBER.fullmatch(parts.query.get("i", ""))
    if kind == "album" and track_id:
        kind, entry_id = "track", track_id[1]
    if entry_id is None:
        return None
    path = f"{country}/{_PATHS[kind]}/{entry_id}"
    return Canonical(
        provider="apple_music",
        kind=kind,
        provider_id=id_under_kind(kind, entry_id, main_kind="track"),
        canonical_url=f"https://music.apple.com/{path}",
        embed_url=None if kind == "artist" else f"https://embed.music.apple.com/{path}",
    )


def _entry_id(segment: str) -> str | None:
    if number := _NUMBER.fullmatch(segment):
        return number[1]
    return segment if _LISTED.fullmatch(segment) else None


PROVIDER = Provider(
    name="apple_music",
    hosts=frozenset(
        {
            "music.apple.com",
            "geo.music.apple.com",
            "beta.music.apple.com",
            "classical.music.apple.com",
            "embed.music.apple.com",
            "itunes.apple.com",
            "geo.itunes.apple.com",
            "linkmaker.itunes.apple.com",
        }
    ),
    read=read,
)
