"""What surrounds every answer: sound addresses only, CORS, and the headers browsers obey.

Plain ASGI outside the framework, so that a 404 and a proxied answer carry them too.
"""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from seda_runtime.problems import Problem

from auth_gateway.access.refusals import InvalidAccessToken
from auth_gateway.answers import send_problem
from auth_gateway.proxy.domain import TokenInQuery, UnsoundPath, check_path, check_query

UNSOUND_PATH = Problem(400, "unsound_path", "The address can be read in more than one way.")
TOKEN_IN_QUERY = Problem(401, "invalid_token", "Tokens are not accepted in the address.")
API_POLICY = b"default-src 'none'; frame-ancestors 'none'"
DOCS_PREFIX = "/api/docs"
DOCS_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'"
)
"""The viewer styles its shadow tree inline; scripts come from this host alone."""
SECURITY_HEADERS = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b""),
)
ALLOWED_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    b"authorization, x-api-key, content-type, accept, accept-language, idempotency-key, if-match, "
    b"if-none-match, last-event-id, traceparent, x-request-id"
)
EXPOSED_HEADERS = b"etag, location, ratelimit, ratelimit-policy, retry-after, x-request-id"
PREFLIGHT_SECONDS = b"600"
ALIASES = {"/api/health": "/api/v1/health"}


def surround(app: ASGIApp, *, cors_origins: Sequence[str]) -> ASGIApp:
    """Wrap the whole application."""
    allowed = frozenset(origin.encode() for origin in cors_origins)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        http: HTTPScope = scope
        headers = dict(http["headers"])
        origin = headers.get(b"origin")
        send = _with_headers(
            send, http, origin if origin is not None and origin in allowed else None
        )
        if http["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer_preflight(send, is_allowed=origin in allowed)
            return
        try:
            _settle_path(http)
        except UnsoundPath:
            await send_problem(http, send, UNSOUND_PATH)
        except TokenInQuery:
            challenge = InvalidAccessToken.headers["WWW-Authenticate"].encode()
            await send_problem(http, send, TOKEN_IN_QUERY, [(b"www-authenticate", challenge)])
        else:
            await app(scope, receive, send)

    return handle


def _settle_path(scope: HTTPScope) -> None:
    """From here on there is one reading of the path, without a slash at its end.

    Raises UnsoundPath or TokenInQuery.
    """
    raw = scope["raw_path"].partition(b"?")[0]
    check_path(raw)
    check_query(scope["query_string"])
    try:
        plain = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsoundPath from error
    plain = ALIASES.get(plain, plain)
    scope["path"] = plain
    scope["state"]["plain_path"] = plain.rstrip("/") or "/"
    scope["state"]["sound_raw_path"] = raw.rstrip(b"/") or b"/"


def _with_headers(send: Send, scope: HTTPScope, allowed_origin: bytes | None) -> Send:
    path = scope["path"]
    is_docs = path == DOCS_PREFIX or path.startswith(f"{DOCS_PREFIX}/")

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message["headers"])
            present = {name for name, _ in given}
            headers = [h for h in given if h[0] != b"vary"]
            headers.append((b"vary", _vary(given)))
            headers.append((b"content-security-policy", DOCS_POLICY if is_docs else API_POLICY))
            headers.extend(SECURITY_HEADERS)
            if b"cache-control" not in present:
                headers.append((b"cache-control", b"no-store"))
            if b"ratelimit-policy" not in present:
                headers.extend(scope["state"].get("limit_headers", ()))
            if allowed_origin is not None:
                headers.append((b"access-control-allow-origin", allowed_origin))
                headers.append((b"access-control-allow-credentials", b"true"))
                headers.append((b"access-control-expose-headers", EXPOSED_HEADERS))
            message["headers"] = headers
        await send(message)

    return send_with_headers


def _vary(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What the answer depends on, and always on who asks: a shared cache must know."""
    named = {b"origin"}
    for name, value in headers:
        if name == b"vary":
            named.update(part.strip() for part in value.lower().split(b","))
    return b", ".join(sorted(named))


async def _answer_preflight(send: Send, *, is_allowed: bool) -> None:
    """A foreign origin gets the same empty answer without a permission in it."""
    headers: list[tuple[bytes, bytes]] = []
    if is_allowed:
        headers = [
            (b"access-control-allow-methods", ALLOWED_METHODS),
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", PREFLIGHT_SECONDS),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
