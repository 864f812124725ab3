"""SoundCloud: a person and a slug, both in lower case.

The secret of a private share (`/s-…`) is dropped: a card is shown to everyone, and kept.
"""

import re
from urllib.parse import quote

import can_ada

from track_unfurl.links.canonical import Canonical, LinkParts, Provider

_NAME = re.compile(r"[0-9a-z_-]{1,255}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_SECRET = re.compile(r"s-[0-9A-Za-z]{1,64}")
_URN = re.compile(r"soundcloud:(tracks|playlists):([0-9]{1,20})")
_NOT_PEOPLE = frozenset(
    {"you", "search", "stream", "stations", "charts", "upload", "tags", "pages"}
)
_PROFILE_TABS = frozenset(
    {
        "tracks",
        "albums",
        "sets",
        "reposts",
        "likes",
        "comments",
        "popular-tracks",
        "spotlight",
        "followers",
        "following",
    }
)
_API_HOSTS = frozenset({"api.soundcloud.com", "api-v2.soundcloud.com"})
_PAGE_HOSTS = frozenset({"soundcloud.com", "www.soundcloud.com", "m.soundcloud.com"})


def read(parts: LinkParts) -> Canonical | None:
    if parts.host in _API_HOSTS:
        return _numbered(parts.segments)
    if parts.host == "w.soundcloud.com":
        return _played(parts.query.get("url", ""))
    return _page(parts.segments)


def _page(raw_segments: tuple[str, ...]) -> Canonical | None:
    segments = tuple(segment.lower() for segment in raw_segments)
    slug_place = 2 if segments[1:2] == ("sets",) else 1
    if _SECRET.fullmatch("".join(raw_segments[slug_place + 1 :])):
        segments = segments[: slug_place + 1]
    if not all(_NAME.fullmatch(segment) for segment in segments):
        return None
    match segments:
        case ["discover", "sets", slug]:
            return _entry("playlist", f"discover/sets/{slug}")
        case [person, *_] if person in _NOT_PEOPLE or person == "discover":
            return None
        case [person, "sets", slug]:
            return _entry("playlist", f"{person}/sets/{slug}")
        case [person, slug] if slug not in _PROFILE_TABS:
            return _entry("track", f"{person}/{slug}")
    return None


def _numbered(segments: tuple[str, ...]) -> Canonical | None:
    match segments:
        case ["tracks" | "playlists" as shelf, entry]:
            number = entry
            if urn := _URN.fullmatch(entry.replace("%3A", ":").replace("%3a", ":")):
                number = urn[2]
            if _NUMBER.fullmatch(number):
                return _by_number(shelf, number)
    return None


def _played(address: str) -> Canonical | None:
    """The player's `url` parameter is an address of the API or of the page."""
    try:
        inner = can_ada.parse(address)
    except ValueError:
        return None
    segments = tuple(segment for segment in inner.pathname.split("/") if segment)
    if inner.hostname in _API_HOSTS:
        return _numbered(segments)
    return _page(segments) if inner.hostname in _PAGE_HOSTS else None


def _by_number(shelf: str, number: str) -> Canonical:
    address = f"https://api.soundcloud.com/{shelf}/{number}"
    return Canonical(
        provider="soundcloud",
        kind="track" if shelf == "tracks" else "playlist",
        provider_id=f"{shelf}/{number}",
        canonical_url=address,
        embed_url=f"https://w.soundcloud.com/player/?url={quote(address, safe='')}",
    )


def _entry(kind: str, path: str) -> Canonical:
    address = f"https://soundcloud.com/{path}"
    return Canonical(
        provider="soundcloud",
        kind=kind,
        provider_id=path,
        canonical_url=address,
        embed_url=f"https://w.soundcloud.com/player/?url={quote(address, safe='')}",
    )


PROVIDER = Provider(
    name="soundcloud",
    hosts=_PAGE_HOSTS | _API_HOSTS | {"w.soundcloud.com"},
    short_hosts=frozenset({"on.soundcloud.com", "snd.sc", "soundcloud.app.goo.gl"}),
    read=read,
)
