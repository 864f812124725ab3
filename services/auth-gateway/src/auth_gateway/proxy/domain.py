"""The rules of passing on: which paths are sound, which headers travel, who serves a prefix."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

API_PREFIX = "/api/v1"
PATH_LENGTH_MAX = 4_096
Service = Literal["user-artist", "verification", "chat-realtime", "track-unfurl", "crawler"]
Header = tuple[bytes, bytes]

REQUEST_HEADERS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-unmodified-since",
        b"last-event-id",
        b"range",
        b"user-agent",
    }
)
"""All that travels inwards. `Authorization`, cookies and every identity header stay here."""

RESPONSE_HEADERS = frozenset(
    {
        b"accept-ranges",
        b"allow",
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-range",
        b"content-type",
        b"etag",
        b"expires",
        b"last-modified",
        b"link",
        b"location",
        b"ratelimit",
        b"ratelimit-policy",
        b"retry-after",
        b"vary",
        b"www-authenticate",
    }
)
"""All that travels outwards. No `Set-Cookie`: only the gateway may ever set one. No `Server`."""

_UNSOUND = re.compile(
    rb"//|/\.{1,2}(?:/|\Z)|[\x00-\x20\x7f-\xff\\;\"<>^`{|}]"
    rb"|%(?![0-9A-Fa-f]{2})|%(?:2[EFef]|5[Cc]|25|3[Bb]|[01][0-9A-Fa-f]|7[Ff])"
)
"""Spellings that two parsers may read as two different paths."""
_TOKEN_PARAMETERS = re.compile(
    rb"(?:\A|[&;])(?:access_token|token|ticket|refresh_token|id_token|authorization|api_?key|x-api-key|key)=",
    re.IGNORECASE,
)


class UnsoundPath(Exception):
    """The path can be read in two ways, so nobody acts on either."""


class TokenInQuery(Exception):
    """A credential in an address ends up in logs and histories; it is refused, not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Everything below a prefix belongs to one service.

    `reading` and `writing` are the least role for safe and for other methods; the service itself
    judges finer. None lets anonymous callers through.
    """

    prefix: str
    service: Service
    reading: str | None
    writing: str | None = "USER"
    limit: str = "default"


ROUTES = (
    Route(prefix="/users", service="user-artist", reading=None),
    Route(prefix="/artists", service="user-artist", reading=None),
    Route(prefix="/verification", service="verification", reading="USER"),
    Route(prefix="/admin/verification", service="verification", reading="ADMIN", writing="ADMIN"),
    Route(prefix="/chat", service="chat-realtime", reading="USER"),
    Route(prefix="/admin/moderation", service="chat-realtime", reading="ADMIN", writing="ADMIN"),
    Route(prefix="/tracks", service="track-unfurl", reading=None),
    Route(prefix="/admin/crawler", service="crawler", reading="ADMIN", writing="ADMIN"),
)
STREAMS = frozenset({f"{API_PREFIX}/chat/stream"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}


def check_path(raw_path: bytes) -> None:
    """Raises UnsoundPath for what a proxy and a service might resolve differently."""
    if len(raw_path) > PATH_LENGTH_MAX or not raw_path.startswith(b"/"):
        raise UnsoundPath
    if _UNSOUND.search(raw_path):
        raise UnsoundPath


def check_query(query: bytes) -> None:
    """Raises TokenInQuery."""
    if _TOKEN_PARAMETERS.search(query):
        raise TokenInQuery


def route_for(path: str) -> Route | None:
    """The route whose prefix the path continues at a segment boundary."""
    for route in ROUTES:
        rest = path.removeprefix(API_PREFIX + route.prefix)
        if rest != path and (not rest or rest.startswith("/")):
            return route
    return None


def is_stream(path: str, method: str) -> bool:
    """Whether the answer goes on until one side ends it."""
    return method == "GET" and path in STREAMS


def required_role(route: Route, method: str) -> str | None:
    return route.reading if method in SAFE_METHODS else route.writing


def request_headers(headers: Iterable[Header]) -> list[tuple[str, str]]:
    """What goes inwards: the allow-list. A name that appears twice there is ambiguous, the first
    value is kept; `Connection` cannot name anything, because nothing else is looked at.
    """
    kept: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in REQUEST_HEADERS:
            kept.setdefault(lower.decode("ascii"), value.decode("latin-1"))
    return list(kept.items())


def response_headers(headers: Iterable[tuple[str, str]]) -> list[Header]:
    """What goes outwards: the allow-list, line breaks refused."""
    kept: list[Header] = []
    for name, value in headers:
        lower = name.lower().encode("latin-1")
        if lower in RESPONSE_HEADERS and "\r" not in value and "\n" not in value:
            kept.append((lower, value.encode("latin-1", "ignore")))
    return kept
