"""Text in, canonical link out: pure, total and quick.

The text may be a URL, a URL without its scheme, an app URI, a sentence somebody shared or the code
of an embedded player. It is parsed once by a WHATWG parser; hosts decide, never substrings.
"""

import html
import re
from urllib.parse import unquote_plus

import can_ada

from track_unfurl.links.canonical import SHORT_LINK, Canonical, LinkParts, Provider
from track_unfurl.links.providers import PROVIDERS, generic, spotify

TEXT_LENGTH_MAX = 4_096
URL_LENGTH_MAX = 2_048

_IFRAME_SOURCE = re.compile(r"<iframe\b[^>]{0,2000}?\bsrc\s*=\s*[\"']([^\"']{1,2048})[\"']", re.I)
_LINK_IN_TEXT = re.compile(r"(?:https?://|spotify:|deezer://)\S+", re.I)
_BARE_HOST = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::\d{1,5})?(?:[/?#]|$)", re.I)
_APP_SCHEME = re.compile(r"deezer://(?:www\.deezer\.com/)?", re.I)
_CLOSING_PUNCTUATION = ".,;:!?'\"»”’*_)]}>"

_BY_HOST: dict[str, Provider] = {
    host: provider for provider in PROVIDERS for host in provider.hosts | provider.short_hosts
}
_BY_SUFFIX = tuple((suffix, provider) for provider in PROVIDERS for suffix in provider.suffixes)


class InvalidUrl(Exception):
    """The text holds no link that could be followed."""


class UnsupportedUrl(Exception):
    """A link, but to nothing a card can show: a search page, a profile tab, a mail address."""


def canonicalise(text: str) -> Canonical | None:
    """The canonical link in the text, or None. Never raises, never asks the network."""
    try:
        return read_link(text)
    except (InvalidUrl, UnsupportedUrl):
        return None


def read_link(text: str) -> Canonical:
    """Like canonicalise, but says why not: raises InvalidUrl or UnsupportedUrl."""
    found = _link_text(text)
    if found[:8].lower().startswith("spotify:"):
        canonical = spotify.read_uri(found)
    else:
        parts = split_link(found)
        canonical = _read_parts(parts)
    if canonical is None:
        raise UnsupportedUrl
    return canonical


def provider_of_host(host: str) -> Provider | None:
    provider = _BY_HOST.get(host)
    if provider is not None:
        return provider
    return next((owner for suffix, owner in _BY_SUFFIX if host.endswith("." + suffix)), None)


def split_link(text: str) -> LinkParts:
    """One parse of one http(s) URL. Raises InvalidUrl or, by scheme, UnsupportedUrl."""
    if len(text) > URL_LENGTH_MAX:
        raise InvalidUrl
    try:
        url = can_ada.parse(text)
    except ValueError as error:
        raise InvalidUrl from error
    if url.protocol not in {"http:", "https:"}:
        raise UnsupportedUrl
    host = url.hostname.removesuffix(".")
    if (
        url.has_credentials()
        or len(url.href) > URL_LENGTH_MAX
        or ("." not in host and "[" not in host)
    ):
        raise InvalidUrl
    return LinkParts(
        scheme=url.protocol.removesuffix(":"),
        # A port makes it another server, so it must not be taken for the provider's.
        host=f"{host}:{url.port}" if url.port else host,
        segments=tuple(segment for segment in url.pathname.split("/") if segment),
        query=_first_values(url.search),
        href=url.href,
    )


def _read_parts(parts: LinkParts) -> Canonical | None:
    provider = provider_of_host(parts.host)
    if provider is None:
        return generic.read(parts)
    if parts.host in provider.short_hosts and parts.segments:
        path = "/".join(parts.segments)
        return Canonical(
            provider=provider.name,
            kind=SHORT_LINK,
            provider_id=f"{parts.host}/{path}",
            canonical_url=f"https://{parts.host}/{path}",
        )
    return provider.read(parts)


def _link_text(text: str) -> str:
    """The one URL inside whatever was pasted. Raises InvalidUrl."""
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidUrl
    stripped = text.strip()
    if "<" in stripped and (frame := _IFRAME_SOURCE.search(stripped)):
        source = html.unescape(frame[1])
        stripped = f"https:{source}" if source.startswith("//") else source
    if len(words := stripped.split(maxsplit=1)) > 1:
        link = _LINK_IN_TEXT.search(stripped)
        candidate = link[0] if link else next(filter(_BARE_HOST.match, stripped.split()), words[0])
        # Only a sentence ends in punctuation; a URL given alone may end in anything.
        stripped = candidate.rstrip(_CLOSING_PUNCTUATION)
    if application := _APP_SCHEME.match(stripped):
        stripped = f"https://www.deezer.com/{stripped[application.end() :]}"
    if _BARE_HOST.match(stripped):
        stripped = f"https://{stripped}"
    if not stripped:
        raise InvalidUrl
    return stripped


def _first_values(search: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in search.removeprefix("?").split("&", 64)[:64]:
        name, _, value = pair.partition("=")
        values.setdefault(unquote_plus(name), unquote_plus(value))
    return values
