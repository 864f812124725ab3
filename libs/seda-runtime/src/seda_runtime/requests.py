"""What every HTTP request gets, outside the framework: an id, a span, one log line, two metrics.

Plain ASGI, so that answers which no route made (404, 413, a proxy's) are counted too.
"""

import asyncio
import contextlib
import re
import time
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from opentelemetry.trace import SpanKind, Status, StatusCode

from seda_runtime.ids import uuid7
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import counter, histogram, sampled, span

log = get_logger("request")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
TOO_LARGE = 413
DRAINED_BYTES_MAX = 8 * 1024 * 1024
DRAIN_SECONDS_MAX = 2.0
_QUIET_PATHS = frozenset({"/livez", "/readyz"})
_count = counter("seda_http_requests", "HTTP requests by method, route template and status.")
_duration = histogram("seda_http_request_duration_seconds", "Time to the end of the answer.")


def record_requests(app: ASGIApp, *, sample_ratio: float) -> ASGIApp:
    """Wrap an ASGI application. A sound `X-Request-Id` of the caller is kept, else one is made."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        http: HTTPScope = scope
        headers = {name: value.decode("latin-1") for name, value in _known_headers(scope)}
        request_id = headers.get(b"x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = str(uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == TOO_LARGE:
                    await _read_the_rest(receive)
                message["headers"] = [
                    *(h for h in message.get("headers", ()) if h[0] != b"x-request-id"),
                    (b"x-request-id", request_id.encode()),
                    # Otherwise Granian names itself, and attackers look up its version.
                    (b"server", b"seda"),
                ]
            await send(message)

        started = time.perf_counter()
        traceparent = headers.get(b"traceparent")
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            if scope["path"] in _QUIET_PATHS or not sampled(sample_ratio, traceparent):
                await app(scope, receive, send_with_id)
            else:
                carried = {"traceparent": traceparent} if traceparent else {}
                with span(f"{http['method']} request", kind=SpanKind.SERVER, headers=carried) as s:
                    await app(scope, receive, send_with_id)
                    s.update_name(f"{http['method']} {_template(scope)}")
                    s.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        s.set_status(Status(StatusCode.ERROR))
        finally:
            _record(scope, headers, status, time.perf_counter() - started)
            structlog.contextvars.unbind_contextvars("request_id")

    return handle


async def _read_the_rest(receive: Receive) -> None:
    """Let a client finish what it is sending, within bounds, before it is told "too large".

    Answering and closing at once would reset the connection under its hands, and it would see a
    network error instead of the answer (RFC 9112 9.6).
    """
    left = DRAINED_BYTES_MAX
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
                left -= len(message.get("body", b""))


def _record(scope: Any, headers: dict[bytes, str], status: int, seconds: float) -> None:
    template = _template(scope)
    labels = {"method": scope["method"], "route": template, "status": str(status)}
    _count.add(1, labels)
    _duration.record(seconds, {"method": scope["method"], "route": template})
    if scope["path"] in _QUIET_PATHS:
        return
    log.info(
        "request.served",
        method=scope["method"],
        route=template,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        user_agent=headers.get(b"user-agent", "")[:200],
    )


def _template(scope: Any) -> str:
    """The route, never the path: ids and random paths must not become metric labels."""
    return str(scope.get("path_template") or "unmatched")


def _known_headers(scope: Any) -> list[tuple[bytes, bytes]]:
    wanted = (b"x-request-id", b"traceparent", b"user-agent")
    return [(name, value) for name, value in scope["headers"] if name in wanted]
