"""The mounts: everything below a prefix goes to the service that owns it."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import HTTPScope, Receive, Scope, Send
from pyreqwest.client import Client
from seda_identity import Principal
from seda_identity.principal import ANONYMOUS
from seda_runtime.problems import Problem
from seda_runtime.telemetry import inject_trace

from auth_gateway.access.refusals import CHALLENGE
from auth_gateway.answers import send_problem
from auth_gateway.keys.signing import Signer
from auth_gateway.proxy.domain import (
    API_PREFIX,
    ROUTES,
    Service,
    is_stream,
    request_headers,
    route_for,
)
from auth_gateway.proxy.forward import BodyTooLarge, Passing, forward, forward_stream
from auth_gateway.proxy.identity import identity_for

NOT_FOUND = Problem(404, "not_found", "There is nothing here.")
CHALLENGES = {401: [(b"www-authenticate", CHALLENGE.encode())]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxying:
    """What the mounts work with."""

    client: Client
    streams: Client
    """For answers that go on: a pool of their own, so that they leave the others their places."""
    signer: Signer
    upstreams: Mapping[Service, str]
    body_bytes_max: int


class UpstreamMissing(Exception):
    """A service of the table has no address; the start is refused."""


def proxy_mounts(proxying: Proxying) -> list[ASGIRouteHandler]:
    """One mount per prefix: the gateway's own routes beside them stay reachable.

    Raises UpstreamMissing.
    """
    missing = {route.service for route in ROUTES} - set(proxying.upstreams)
    if missing:
        raise UpstreamMissing(", ".join(sorted(missing)))

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        http: HTTPScope = scope  # type: ignore[assignment]
        await _pass_on(proxying, http, receive, send)

    paths = [API_PREFIX + route.prefix for route in ROUTES]
    return [asgi(paths, is_mount=True, copy_scope=False, opt={"proxied": True})(pass_on)]


async def _pass_on(proxying: Proxying, scope: HTTPScope, receive: Receive, send: Send) -> None:
    path, method = scope["state"]["plain_path"], str(scope["method"])
    request_id = str(scope["state"].get("request_id", ""))
    route = route_for(path)
    if route is None:
        await send_problem(scope, send, NOT_FOUND)
        return
    scope["path_template"] = f"{API_PREFIX}{route.prefix}/*"
    has_body = _has_body(scope, proxying.body_bytes_max)
    principal = scope["state"].get("principal", ANONYMOUS)
    assert isinstance(principal, Principal)
    identity = identity_for(
        principal,
        proxying.signer,
        service=route.service,
        method=method,
        path=path,
        request_id=request_id,
    )
    carried = {"x-seda-identity": identity, "x-request-id": request_id}
    inject_trace(carried)
    passing = Passing(
        method=method,
        url=_url(proxying.upstreams[route.service], scope),
        headers=[*request_headers(scope["headers"]), *carried.items()],
        has_body=has_body,
        body_bytes_max=proxying.body_bytes_max,
    )
    if is_stream(path, method) and not has_body:
        stopping = scope["litestar_app"].state.stopping
        await forward_stream(
            proxying.streams, passing, receive, send, stopping, headers_for=CHALLENGES
        )
    else:
        await forward(proxying.client, passing, receive, send, headers_for=CHALLENGES)


def _url(upstream: str, scope: HTTPScope) -> str:
    raw_path: bytes = scope["state"]["sound_raw_path"]
    query = scope["query_string"]
    url = upstream.rstrip("/") + raw_path.decode("ascii")
    return f"{url}?{query.decode('latin-1')}" if query else url


def _has_body(scope: HTTPScope, bytes_max: int) -> bool:
    """Whether a body follows. Raises BodyTooLarge before a byte of it is read."""
    length = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return True
        if name == b"content-length":
            if not value.isdigit() or int(value) > bytes_max:
                raise BodyTooLarge
            length = int(value)
    return length > 0
