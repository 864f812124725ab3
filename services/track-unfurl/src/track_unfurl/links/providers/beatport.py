"""Beatport: a slug for people and a number for the shop."""

import re

from track_unfurl.links.canonical import (
    Canonical,
    LinkParts,
    Provider,
    id_under_kind,
    without_prefix,
)

_LANGUAGE = re.compile(r"[a-z]{2}", re.I)
_NUMBER = re.compile(r"[0-9]{1,20}")
_SLUG = re.compile(r"[0-9a-z_%-]{1,255}", re.I)
_KINDS = {
    "track": "track",
    "release": "album",
    "artist": "artist",
    "label": "label",
    "chart": "playlist",
}


def read(parts: LinkParts) -> Canonical | None:
    match without_prefix(parts.segments, _LANGUAGE):
        case [shelf, slug, number] if shelf in _KINDS:
            if _SLUG.fullmatch(slug) and _NUMBER.fullmatch(number):
                return Canonical(
                    provider="beatport",
                    kind=_KINDS[shelf],
                    provider_id=id_under_kind(_KINDS[shelf], number, main_kind="track"),
                    # Any slug leads to the number; a fixed one makes all spellings one address.
                    canonical_url=f"https://www.beatport.com/{shelf}/-/{number}",
                    embed_url=f"https://embed.beatport.com/?id={number}&type={shelf}"
                    if shelf == "track"
                    else None,
                )
    return None


PROVIDER = Provider(
    name="beatport",
    hosts=frozenset({"beatport.com", "www.beatport.com", "pro.beatport.com", "dj.beatport.com"}),
    read=read,
)
