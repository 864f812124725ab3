"""Deezer: a number per kind, so track 5 and album 5 are different things."""

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
_KINDS = frozenset({"track", "album", "artist", "playlist", "show", "episode"})


def read(parts: LinkParts) -> Canonical | None:
    segments = parts.segments
    if parts.host == "widget.deezer.com":
        # /widget/{theme}/{kind}/{id}
        segments = segments[2:]
    match without_prefix(segments, _LANGUAGE):
        case [kind, number, *_] if kind in _KINDS and _NUMBER.fullmatch(number):
            return Canonical(
                provider="deezer",
                kind=kind,
                provider_id=id_under_kind(kind, number, main_kind="track"),
                canonical_url=f"https://www.deezer.com/{kind}/{number}",
                embed_url=f"https://widget.deezer.com/widget/auto/{kind}/{number}",
            )
    return None


PROVIDER = Provider(
    name="deezer",
    hosts=frozenset({"deezer.com", "www.deezer.com", "widget.deezer.com"}),
    short_hosts=frozenset({"deezer.page.link", "dzr.page.link", "link.deezer.com"}),
    read=read,
)
