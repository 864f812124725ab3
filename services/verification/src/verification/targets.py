"""Which pages may carry a claim code: pages whose text only one person or band can write.

Addresses are parsed once, by the WHATWG rules browsers follow, and nothing is fetched here. The
crawler goes through the guard of `seda-fetch`, which vets the address it dials.
"""

import ipaddress
import re
from dataclasses import dataclass

import can_ada
from publicsuffixlist import PublicSuffixList

TARGET_CHARACTERS_MAX = 500

_suffixes = PublicSuffixList()
_PRIVATE_SUFFIXES = (
    ".arpa",
    ".cluster",
    ".corp",
    ".home",
    ".internal",
    ".invalid",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
    ".onion",
    ".svc",
)

_ONE_SEGMENT = r"/[A-Za-z0-9._-]{2,50}"
_PROFILE_PATHS = {
    "audiomack.com": _ONE_SEGMENT,
    "bandcamp.com": r"(?!)",
    "bsky.app": r"/profile/[A-Za-z0-9.:-]{3,100}",
    "deezer.com": r"/(?:[a-z]{2}/)?artist/\d{1,15}",
    "facebook.com": _ONE_SEGMENT,
    "github.com": _ONE_SEGMENT,
    "instagram.com": _ONE_SEGMENT,
    "linktr.ee": _ONE_SEGMENT,
    "mixcloud.com": _ONE_SEGMENT,
    "music.apple.com": r"/[a-z]{2}/artist/(?:[^/]{1,100}/)?\d{1,15}",
    "music.youtube.com": r"/channel/UC[\w-]{22}",
    "open.spotify.com": r"/artist/[0-9A-Za-z]{22}",
    "soundcloud.com": _ONE_SEGMENT,
    "threads.net": r"/@[A-Za-z0-9._]{1,50}",
    "tidal.com": r"/(?:browse/)?artist/\d{1,15}",
    "tiktok.com": r"/@[A-Za-z0-9._]{2,50}",
    "twitter.com": _ONE_SEGMENT,
    "x.com": _ONE_SEGMENT,
    "youtube.com": r"/(?:@[\w.-]{3,30}|channel/UC[\w-]{22}|(?:c|user)/[\w.-]{1,100})",
}
"""Hosts shared by many people: only a profile page of one of them proves anything."""

_PAGES_OF_THE_HOST = frozenset(
    {
        "about",
        "charts",
        "discover",
        "explore",
        "feed",
        "home",
        "jobs",
        "login",
        "pages",
        "privacy",
        "search",
        "settings",
        "stations",
        "stream",
        "tags",
        "terms",
        "terms-of-use",
        "trending",
        "upload",
        "you",
    }
)
"""One-segment paths that belong to the host itself; a search page would echo any code."""

_ANYONE_WRITES = (
    "discogs.com",
    "fandom.com",
    "genius.com",
    "last.fm",
    "musicbrainz.org",
    "pastebin.com",
    "reddit.com",
    "wikipedia.org",
)
"""Places edited by everybody: a code there proves nothing about the artist."""

_LOCALE = re.compile(r"^/intl-[a-z]{2}(?:-[a-z]{2})?(?=/)")


class TargetRefused(Exception):
    """Not a public page that one artist alone can write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A page in its one spelling. `shared` tells that the host belongs to many people."""

    url: str
    scheme: str
    host: str
    shared: bool


def normal_target(text: str) -> Target:
    """The page in the form that is stored and compared. Raises TargetRefused."""
    if len(text) > TARGET_CHARACTERS_MAX:
        raise TargetRefused
    try:
        parsed = can_ada.parse(text.strip())
    except ValueError as error:
        raise TargetRefused from error
    scheme, host = parsed.protocol.removesuffix(":"), parsed.hostname
    # can_ada leaves `port` empty for the scheme's own port, so any text here is an unusual one.
    if scheme not in {"http", "https"} or parsed.has_credentials() or parsed.port:
        raise TargetRefused
    if not _is_public_name(host) or _under(host, _ANYONE_WRITES):
        raise TargetRefused
    # A public suffix (`co.uk`, `github.io`) is the root under which strangers live side by side.
    if _suffixes.privatesuffix(host) is None:
        raise TargetRefused
    provider = host.removeprefix("www.").removeprefix("m.")
    if provider in _PROFILE_PATHS:
        path = _profile_path(provider, parsed.pathname)
        return Target(url=f"https://{provider}{path}", scheme="https", host=provider, shared=True)
    url = parsed.href.removesuffix(parsed.hash).removesuffix("#")
    return Target(url=url, scheme=scheme, host=host, shared=False)


def is_listed(target: Target, links: list[str]) -> bool:
    """True when the page is one of those the artist had listed, whatever its spelling there."""
    return any(_same_page(target, link) for link in links)


def stays_on(target: Target, address: str) -> bool:
    """True when a request for the target that ended at `address` is still the owner's place.

    On a shared host the path is the owner, so it must be the very page. On an own site the host is,
    and a step from http to https on it is no departure.
    """
    try:
        reached = can_ada.parse(address)
    except ValueError:
        return False
    if reached.has_credentials() or reached.port or reached.protocol not in {"http:", "https:"}:
        return False
    if target.shared:
        return _same_page(target, address)
    if target.scheme == "https" and reached.protocol != "https:":
        return False
    return bool(reached.hostname == target.host)


def _same_page(target: Target, address: str) -> bool:
    try:
        return normal_target(address).url == target.url
    except TargetRefused:
        return False


def _profile_path(provider: str, path: str) -> str:
    """Raises TargetRefused for the host's root and for pages that are nobody's profile."""
    if provider == "open.spotify.com":
        path = _LOCALE.sub("", path)
    if provider == "soundcloud.com":
        path = path.lower()
    path = path.removesuffix("/")
    if not re.fullmatch(_PROFILE_PATHS[provider], path):
        raise TargetRefused
    if path.removeprefix("/").lower() in _PAGES_OF_THE_HOST:
        raise TargetRefused
    return path


def _under(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _is_public_name(host: str) -> bool:
    """A dotted name that is no number in disguise; the parser has unfolded every spelling."""
    if not 4 <= len(host) <= 253 or "." not in host or host.endswith("."):
        return False
    if host.startswith("[") or host.endswith(_PRIVATE_SUFFIXES):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return all(0 < len(label) <= 63 for label in host.split("."))
    return False
