"""Web addresses people list. Parsed once, by the WHATWG rules browsers follow; never fetched here.

This refuses what could not be a public page. It is not the guard against requests into our own
network: whoever fetches vets the address it dials (`seda-fetch`).
"""

import ipaddress
from dataclasses import dataclass

import can_ada

ADDRESS_CHARACTERS_MAX = 500

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


class AddressRefused(ValueError):
    """Not a public web page: another scheme, credentials, an odd port, a private name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One parsed address; `href` is its normal form without a fragment."""

    href: str
    scheme: str
    host: str
    path: str


def public_address(text: str, *, schemes: frozenset[str] = frozenset({"https"})) -> Address:
    """Raises AddressRefused."""
    if len(text) > ADDRESS_CHARACTERS_MAX:
        raise AddressRefused
    try:
        parsed = can_ada.parse(text.strip())
    except ValueError as error:
        raise AddressRefused from error
    scheme = parsed.protocol.removesuffix(":")
    # can_ada leaves `port` empty for the scheme's own port, so any text here is an unusual one.
    if scheme not in schemes or parsed.has_credentials() or parsed.port:
        raise AddressRefused
    host = parsed.hostname
    if not _is_public_name(host):
        raise AddressRefused
    href = parsed.href.removesuffix(parsed.hash).removesuffix("#")
    return Address(href=href, scheme=scheme, host=host, path=parsed.pathname)


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
