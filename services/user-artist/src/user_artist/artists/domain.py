"""Rules of artist profiles: which page each link field may name, and how a search page continues.

The badge is not decided here. It arrives as a fact from verification and only adds to a profile.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import msgspec

from user_artist.addresses import AddressRefused, public_address

LinkField = Literal["website_url", "spotify_url", "soundcloud_url", "bandcamp_url"]
LINK_FIELDS: tuple[LinkField, ...] = (
    "website_url",
    "spotify_url",
    "soundcloud_url",
    "bandcamp_url",
)
SEARCH_PAGE_DEFAULT = 20
SEARCH_PAGE_MAX = 100
SEARCH_CHARACTERS_MAX = 100
CURSOR_CHARACTERS_MAX = 1_000

_SPOTIFY_ARTIST = re.compile(r"/(?:intl-[a-z]{2}(?:-[a-z]{2})?/)?artist/([0-9A-Za-z]{22})/?")
_SOUNDCLOUD_USER = re.compile(r"/([A-Za-z0-9_-]{2,50})/?")
_BANDCAMP_HOST = re.compile(r"([a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.bandcamp\.com")
_SOUNDCLOUD_OWN_PAGES = frozenset(
    {
        "charts",
        "discover",
        "feed",
        "imprint",
        "jobs",
        "pages",
        "people",
        "pro",
        "search",
        "settings",
        "stations",
        "stream",
        "tags",
        "terms-of-use",
        "upload",
        "you",
    }
)
_BANDCAMP_OWN_HOSTS = frozenset(
    {"blog", "daily", "downloads", "fan", "get", "help", "merch", "pages", "www"}
)


class ArtistNotFound(Exception):
    """No artist profile with this id."""


class NotArtistOwner(Exception):
    """The profile is public, its editing is not."""


class ArtistExists(Exception):
    """This person has an artist profile."""


class VerifiedNameFixed(Exception):
    """The badge says who this name is; under a badge the name does not change."""


class CursorRefused(Exception):
    """The cursor was not made by this search."""


class LinkRefused(Exception):
    """The address is not a profile page of the place its field names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPosition:
    """Where a page of search results ended: the last name's key, then the id among equals."""

    name_key: str
    artist_id: UUID


def checked_link(field: LinkField, text: str) -> str:
    """The canonical address of a listed page. Raises LinkRefused.

    The canonical form is what verification compares, so one page has one spelling.
    """
    try:
        return _CANONICAL[field](text)
    except AddressRefused as error:
        raise LinkRefused from error


def _website(text: str) -> str:
    return public_address(text, schemes=frozenset({"http", "https"})).href


def _spotify(text: str) -> str:
    address = public_address(text)
    artist = _SPOTIFY_ARTIST.fullmatch(address.path)
    if address.host != "open.spotify.com" or artist is None:
        raise LinkRefused
    return f"https://open.spotify.com/artist/{artist[1]}"


def _soundcloud(text: str) -> str:
    address = public_address(text)
    user = _SOUNDCLOUD_USER.fullmatch(address.path)
    if address.host not in {"soundcloud.com", "www.soundcloud.com", "m.soundcloud.com"}:
        raise LinkRefused
    if user is None or user[1].lower() in _SOUNDCLOUD_OWN_PAGES:
        raise LinkRefused
    return f"https://soundcloud.com/{user[1].lower()}"


def _bandcamp(text: str) -> str:
    address = public_address(text)
    band = _BANDCAMP_HOST.fullmatch(address.host)
    if band is None or band[1] in _BANDCAMP_OWN_HOSTS or address.path not in {"/", "/music"}:
        raise LinkRefused
    return f"https://{band[1]}.bandcamp.com/"


_CANONICAL = {
    "website_url": _website,
    "spotify_url": _spotify,
    "soundcloud_url": _soundcloud,
    "bandcamp_url": _bandcamp,
}


def encode_cursor(position: SearchPosition, *, search: str, verified_only: bool) -> str:
    """Opaque to clients and bound to the search that made it."""
    raw = msgspec.json.encode(
        (_search_mark(search, verified_only), position.name_key, position.artist_id)
    )
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(cursor: str, *, search: str, verified_only: bool) -> SearchPosition:
    """Raises CursorRefused. Nothing secret is behind a cursor, so it is checked and not signed."""
    if len(cursor) > CURSOR_CHARACTERS_MAX:
        raise CursorRefused
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        mark, name_key, artist_id = msgspec.json.decode(raw, type=tuple[str, str, UUID])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise CursorRefused from error
    # PostgreSQL text holds no NUL, and a made-up cursor is the only way one gets here.
    if mark != _search_mark(search, verified_only) or "\x00" in name_key:
        raise CursorRefused
    return SearchPosition(name_key=name_key, artist_id=artist_id)


def _search_mark(search: str, verified_only: bool) -> str:
    return hashlib.sha256(f"{int(verified_only)}:{search}".encode()).hexdigest()[:12]


def contains_pattern(text: str) -> str:
    """A LIKE pattern for `contains`, in which what the person typed is only text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
