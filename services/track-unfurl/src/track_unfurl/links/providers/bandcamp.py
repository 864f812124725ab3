"""Bandcamp: every band has its own subdomain.

A band's own domain is an ordinary page here; its metadata proves what it is, and it can never take
the id of a band that lives under bandcamp.com.
"""

import re

from track_unfurl.links.canonical import Canonical, LinkParts, Provider

_SLUG = re.compile(r"[0-9a-z_%-]{1,255}", re.I)
_PLAYER_ENTRY = re.compile(r"(track|album)=([0-9]{1,20})")
_OWN_HOSTS = frozenset({"bandcamp.com", "www.bandcamp.com"})
_NOT_BANDS = frozenset({"daily", "get", "blog", "m", "api"})


def read(parts: LinkParts) -> Canonical | None:
    if parts.host in _OWN_HOSTS:
        return _player(parts.segments)
    band = parts.host.removesuffix(".bandcamp.com")
    if band in _NOT_BANDS or "." in band or ":" in band:
        return None
    match parts.segments:
        case ["track" | "album" as kind, slug] if _SLUG.fullmatch(slug):
            path = f"{kind}/{slug.lower()}"
            return Canonical(
                provider="bandcamp",
                kind=kind,
                provider_id=f"{band}/{path}",
                canonical_url=f"https://{band}.bandcamp.com/{path}",
            )
        case [] | ["music"]:
            return Canonical(
                provider="bandcamp",
                kind="artist",
                provider_id=band,
                canonical_url=f"https://{band}.bandcamp.com/music",
            )
    return None


def _player(segments: tuple[str, ...]) -> Canonical | None:
    """`/EmbeddedPlayer/album=1/size=large/track=2`: the track is what plays."""
    if segments[:1] != ("EmbeddedPlayer",):
        return None
    entries = filter(None, map(_PLAYER_ENTRY.fullmatch, segments))
    played = {str(entry[1]): str(entry[2]) for entry in entries}
    kind = "track" if "track" in played else "album"
    if kind not in played:
        return None
    address = f"https://bandcamp.com/EmbeddedPlayer/{kind}={played[kind]}"
    return Canonical(
        provider="bandcamp",
        kind=kind,
        provider_id=f"{kind}={played[kind]}",
        canonical_url=address,
        embed_url=address,
    )


PROVIDER = Provider(name="bandcamp", hosts=_OWN_HOSTS, suffixes=("bandcamp.com",), read=read)
