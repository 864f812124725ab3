"""The shapes of this package: a link taken apart once, and the one thing it stands for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SHORT_LINK = "short_link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """One catalogue entry, whichever of its many spellings was pasted.

    `provider_id` is unique within the provider. A catalogue that numbers its tracks and its albums
    separately (Deezer) therefore carries the kind in the id of everything but its main kind.
    """

    provider: str
    kind: str
    provider_id: str
    canonical_url: str
    embed_url: str | None = None

    @property
    def key(self) -> str:
        return f"{self.provider}:{self.provider_id}"

    @property
    def is_short_link(self) -> bool:
        """The host only redirects: one guarded hop tells what is meant."""
        return self.kind == SHORT_LINK


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParts:
    """Parts of one WHATWG parse. Nothing downstream parses the text again."""

    scheme: str
    host: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    """First value of each parameter, percent-decoded."""
    href: str


Reader = Callable[[LinkParts], Canonical | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A catalogue: the hosts it owns and how its links read.

    Hosts are compared whole; `suffixes` are registered names under which every subdomain belongs to
    the provider. A substring never decides: `open.spotify.com.evil.example` is nobody's.
    """

    name: str
    hosts: frozenset[str]
    read: Reader
    suffixes: tuple[str, ...] = ()
    short_hosts: frozenset[str] = frozenset()

    def owns(self, host: str) -> bool:
        return (
            host in self.hosts
            or host in self.short_hosts
            or any(host.endswith("." + suffix) for suffix in self.suffixes)
        )


def id_under_kind(kind: str, provider_id: str, *, main_kind: str) -> str:
    """Bare for the main kind, `album/123` for the rest, so the pair with the provider is unique."""
    return provider_id if kind == main_kind else f"{kind}/{provider_id}"


def without_prefix(segments: tuple[str, ...], pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Drops a leading language or country segment."""
    return segments[1:] if segments and pattern.fullmatch(segments[0]) else segments
