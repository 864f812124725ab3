"""One WHATWG parse per URL. Everything behind it uses the parts of that parse and nothing else.

Two parsers that disagree about the host are how a guard is walked around, so no other URL parser
may appear between `parse_url` and the socket.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import can_ada

from seda_fetch.addresses import vet
from seda_fetch.errors import Refused

URL_LENGTH_MAX = 8_192
HOST_LENGTH_MAX = 253
LABEL_LENGTH_MAX = 63
WEB_PORTS = frozenset({80, 443})
_DEFAULT_PORTS = {"http": 80, "https": 443}

REFUSED_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data.ec2.internal",
        "kubernetes.default.svc.cluster.local",
    }
)
REFUSED_SUFFIXES = (
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".svc",
    ".intranet",
    ".private",
    ".corp",
    ".home",
    ".lan",
    ".home.arpa",
    ".onion",
)
"""Names that only mean something inside somebody's network."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUrl:
    """A URL that may be asked for, as far as its text tells. Its fragment is gone.

    `host` is what the parser made of it: lower case, IDNA-encoded, numbers as dotted quad, IPv6
    in brackets. `query` has no question mark.
    """

    href: str
    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """Value of the Host header: the port only where it is not the scheme's own."""
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return self.host
        return f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def request_target(self) -> bytes:
        """Path and query as they go on the request line; the parser left only ASCII in them."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        return target.encode("ascii")


def parse_url(
    url: str, *, base: TargetUrl | None = None, ports: Collection[int] = WEB_PORTS
) -> TargetUrl:
    """The parsed URL, relative to `base` if given. Raises Refused with a code.

    Names are checked as names here; what they resolve to is checked when they are dialled.
    """
    if len(url) > URL_LENGTH_MAX:
        raise Refused("URL is too long", code="invalid_url")
    # The parser drops tabs and newlines from the middle of a URL; no honest link holds them.
    text = url.strip(" \t\r\n\f")
    if _CONTROL.search(text):
        raise Refused("URL holds a control character", code="invalid_url")
    try:
        parsed = can_ada.parse(text) if base is None else can_ada.parse(base.href) + text
    except ValueError:
        raise Refused("not a URL", code="invalid_url") from None
    scheme = parsed.protocol.removesuffix(":")
    if scheme not in _DEFAULT_PORTS:
        raise Refused("only http and https", code="refused_scheme")
    if parsed.has_credentials():
        raise Refused("URL holds a user name or password", code="refused_userinfo")
    port = int(parsed.port) if parsed.port else _DEFAULT_PORTS[scheme]
    if port not in ports:
        raise Refused("port is not for the web", code="refused_port")
    host = parsed.hostname
    _check_host(host)
    query = parsed.search.removeprefix("?")
    explicit_port = f":{parsed.port}" if parsed.port else ""
    return TargetUrl(
        href=f"{scheme}://{host}{explicit_port}{parsed.pathname}{'?' if query else ''}{query}",
        scheme=scheme,
        host=host,
        port=port,
        path=parsed.pathname,
        query=query,
    )


def literal_address(host: str) -> str | None:
    """The address if the host is one. WHATWG hosts that end in a number are always dotted quads."""
    if host.startswith("["):
        return host[1:-1]
    return host if _IPV4.fullmatch(host) else None


def _check_host(host: str) -> None:
    address = literal_address(host)
    if address is not None:
        vet(address)
        return
    labels = host.split(".")
    too_long = len(host) > HOST_LENGTH_MAX or any(len(x) > LABEL_LENGTH_MAX for x in labels)
    # A name with a final dot is a second spelling of the same host; one spelling is enough.
    if too_long or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("not a host name", code="refused_host")
    if len(labels) < 2:
        raise Refused("single-label names are local", code="refused_host")
    if host in REFUSED_NAMES or host.endswith(REFUSED_SUFFIXES):
        raise Refused("name belongs to a private network", code="refused_host")
