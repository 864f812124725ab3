"""Mixcloud: a person and a slug name one show."""

import re
from urllib.parse import quote

from track_unfurl.links.canonical import Canonical, LinkParts, Provider

_NAME = re.compile(r"[0-9a-z_%-]{1,255}")
_PROFILE_TABS = frozenset(
    {"uploads", "favorites", "listens", "stream", "playlists", "followers", "following"}
)
_NOT_PEOPLE = frozenset({"discover", "search", "settings", "upload", "select", "live"})


def read(parts: LinkParts) -> Canonical | None:
    match tuple(segment.lower() for segment in parts.segments):
        case [person, slug] if slug not in _PROFILE_TABS and person not in _NOT_PEOPLE:
            if _NAME.fullmatch(person) and _NAME.fullmatch(slug):
                return _entry(f"{person}/{slug}")
    return None


def _entry(path: str) -> Canonical:
    feed = quote(f"/{path}/", safe="")
    return Canonical(
        provider="mixcloud",
        kind="episode",
        provider_id=path,
        canonical_url=f"https://www.mixcloud.com/{path}/",
        embed_url=f"https://www.mixcloud.com/widget/iframe/?feed={feed}",
    )


PROVIDER = Provider(
    name="mixcloud",
    hosts=frozenset({"mixcloud.com", "www.mixcloud.com", "m.mixcloud.com", "beta.mixcloud.com"}),
    read=read,
)
