"""TIDAL: numbers for tracks, albums, artists and videos; playlists and mixes have longer ids."""

import re

from track_unfurl.links.canonical import Canonical, LinkParts, Provider, id_under_kind

_ID = re.compile(r"[0-9]{1,20}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MIX = re.compile(r"[0-9a-f]{8,64}")
_FORM = {
    "track": _ID,
    "album": _ID,
    "artist": _ID,
    "video": _ID,
    "playlist": _UUID,
    "mix": _MIX,
}
_EMBEDDED = frozenset({"track", "album", "video", "playlist", "mix"})


def read(parts: LinkParts) -> Canonical | None:
    segments = parts.segments
    if segments[:1] == ("browse",):
        segments = segments[1:]
    match segments:
        case ["album", _, "track", number, *_]:
            return _entry("track", number)
        case [shelf, entry_id, *_]:
            embedded = parts.host == "embed.tidal.com"
            return _entry(shelf.removesuffix("s") if embedded else shelf, entry_id.lower())
    return None


def _entry(kind: str, entry_id: str) -> Canonical | None:
    form = _FORM.get(kind)
    if form is None or not form.fullmatch(entry_id):
        return None
    playable = kind in _EMBEDDED
    return Canonical(
        provider="tidal",
        kind=kind,
        provider_id=id_under_kind(kind, entry_id, main_kind="track"),
        canonical_url=f"https://tidal.com/{kind}/{entry_id}",
        embed_url=f"https://embed.tidal.com/{kind}s/{entry_id}" if playable else None,
    )


PROVIDER = Provider(
    name="tidal",
    hosts=frozenset(
        {
            "tidal.com",
            "www.tidal.com",
            "listen.tidal.com",
            "store.tidal.com",
            "desktop.tidal.com",
            "embed.tidal.com",
        }
    ),
    read=read,
)
