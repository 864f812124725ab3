"""Spotify: 22 base-62 characters where case matters."""

import re

from track_unfurl.links.canonical import (
    Canonical,
    LinkParts,
    Provider,
    id_under_kind,
    without_prefix,
)

KINDS = frozenset({"track", "album", "artist", "playlist", "episode", "show", "prerelease"})

_ID = re.compile(r"[0-9A-Za-z]{22}")
_LANGUAGE = re.compile(r"intl-[a-z]{2,3}(?:-[a-z]{2})?", re.I)
_PLAYER = re.compile(r"embed(?:-podcast)?")


def read_uri(uri: str) -> Canonical | None:
    """`spotify:track:ID`, `spotify:user:NAME:playlist:ID`; local files and searches are refused."""
    words = uri.split("?", 1)[0].split(":")
    match words[1:]:
        case [kind, provider_id] | ["user", _, kind, provider_id]:
            return _entry(kind.lower(), provider_id)
    return None


def read(parts: LinkParts) -> Canonical | None:
    if parts.host == "embed.spotify.com":
        return read_uri(parts.query.get("uri", ""))
    segments = without_prefix(without_prefix(parts.segments, _LANGUAGE), _PLAYER)
    highlighted = parts.query.get("highlight", "")
    match segments:
        case ["album", _, track_id] if _ID.fullmatch(track_id):
            return _entry("track", track_id)
        case ["album", _] if highlighted.startswith("spotify:track:"):
            return read_uri(highlighted)
        case ["user", _, "playlist", provider_id]:
            return _entry("playlist", provider_id)
        case [kind, provider_id, *_]:
            return _entry(kind, provider_id)
    return None


def _entry(kind: str, provider_id: str) -> Canonical | None:
    if kind not in KINDS or not _ID.fullmatch(provider_id):
        return None
    playable = kind != "prerelease"
    return Canonical(
        provider="spotify",
        kind=kind,
        provider_id=id_under_kind(kind, provider_id, main_kind="track"),
        canonical_url=f"https://open.spotify.com/{kind}/{provider_id}",
        embed_url=f"https://open.spotify.com/embed/{kind}/{provider_id}" if playable else None,
    )


PROVIDER = Provider(
    name="spotify",
    hosts=frozenset({"open.spotify.com", "play.spotify.com", "embed.spotify.com"}),
    short_hosts=frozenset({"spotify.link", "spotify.app.link", "link.tospotify.com"}),
    read=read,
)
