"""Amazon Music: one catalogue number over many countries. Its pages say nothing to a reader without
a browser, so the card is the id alone until somebody knows more.
"""

import re

from track_unfurl.links.canonical import Canonical, LinkParts, Provider, id_under_kind

_NUMBER = re.compile(r"B0[0-9A-Z]{8}")
_KINDS = {"tracks": "track", "albums": "album", "artists": "artist", "playlists": "playlist"}
_COUNTRIES = (
    "com", "co.uk", "de", "fr", "it", "es", "co.jp", "com.br", "com.mx", "com.au", "ca", "in",
)  # fmt: skip


def read(parts: LinkParts) -> Canonical | None:
    match parts.segments:
        case [shelf, number, *_] if shelf in _KINDS:
            track = parts.query.get("trackAsin", "")
            if shelf == "albums" and _NUMBER.fullmatch(track):
                shelf, number = "tracks", track
            if _NUMBER.fullmatch(number):
                return Canonical(
                    provider="amazon_music",
                    kind=_KINDS[shelf],
                    provider_id=id_under_kind(_KINDS[shelf], number, main_kind="track"),
                    canonical_url=f"https://music.amazon.com/{shelf}/{number}",
                    embed_url=f"https://music.amazon.com/embed/{number}",
                )
    return None


PROVIDER = Provider(
    name="amazon_music",
    hosts=frozenset(f"music.amazon.{country}" for country in _COUNTRIES),
    read=read,
)
