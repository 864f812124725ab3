"""Audiomack: a person, a shelf and a slug; older links have the shelf first."""

import re

from track_unfurl.links.canonical import Canonical, LinkParts, Provider

_NAME = re.compile(r"[0-9a-z_.-]{1,255}")
_KINDS = {"song": "track", "album": "album", "playlist": "playlist"}


def read(parts: LinkParts) -> Canonical | None:
    segments = tuple(segment.lower() for segment in parts.segments)
    if segments[:1] == ("embed",):
        segments = segments[1:]
    match segments:
        case [shelf, person, slug] if shelf in _KINDS:
            return _entry(person, shelf, slug)
        case [person, shelf, slug] if shelf in _KINDS:
            return _entry(person, shelf, slug)
    return None


def _entry(person: str, shelf: str, slug: str) -> Canonical | None:
    if person in _KINDS or not (_NAME.fullmatch(person) and _NAME.fullmatch(slug)):
        return None
    path = f"{person}/{shelf}/{slug}"
    return Canonical(
        provider="audiomack",
        kind=_KINDS[shelf],
        provider_id=path,
        canonical_url=f"https://audiomack.com/{path}",
        embed_url=f"https://audiomack.com/embed/{path}",
    )


PROVIDER = Provider(
    name="audiomack", hosts=frozenset({"audiomack.com", "www.audiomack.com"}), read=read
)
