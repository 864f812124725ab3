"""Pass a request on and its answer back, streaming both ways, over one pooled client.

The client is pyreqwest: httpx costs forty times as much per request here (design, performance A).
Redirects, cookies, environment proxies and decompression are all off: a proxy passes on.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import NamedTuple

from litestar.types import Message, Receive, Send
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectError, RequestError, RequestTimeoutError
from pyreqwest.request import StreamRequest
from seda_runtime.logging import get_logger
from seda_runtime.stopping import Stopping

from auth_gateway.proxy.domain import SAFE_METHODS, Header, response_headers

log = get_logger(__name__)
UNBUFFERED = 0
"""By default the client holds an answer back until 64 KiB of it are there."""
BODILESS_STATUSES = frozenset({204, 304})


class UpstreamUnavailable(Exception):
    """The service refused the connection or broke off before it had answered."""


class UpstreamTimeout(Exception):
    """The service did not answer in time."""


class BodyTooLarge(Exception):
    """More body than the gateway takes."""


class AnswerCutOff(Exception):
    """The service broke off in the middle of its answer; the client must not take it for whole."""


class Timeouts(NamedTuple):
    """To connect, between two reads, and for the whole exchange. None for one without an end."""

    connect: timedelta
    read: timedelta
    total: timedelta | None


class Passing(NamedTuple):
    """One request on its way in."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    has_body: bool
    body_bytes_max: int


def new_client(timeouts: Timeouts, *, connections_max: int) -> Client:
    builder = (
        ClientBuilder()
        .http1_only()
        .http1_lower_case_headers()
        .follow_redirects(False)
        .referer(False)
        .no_proxy()
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .tcp_nodelay(True)
        .max_connections(connections_max)
        .pool_timeout(timeouts.connect)
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .user_agent("seda-gateway")
    )
    return (builder if timeouts.total is None else builder.timeout(timeouts.total)).build()


async def forward(
    client: Client,
    passing: Passing,
    receive: Receive,
    send: Send,
    *,
    headers_for: Mapping[int, list[Header]],
) -> None:
    """Exchange one request. `headers_for` adds headers to answers of a status.

    Raises UpstreamUnavailable, UpstreamTimeout or BodyTooLarge while nothing was answered yet, and
    AnswerCutOff when the answer broke off in the middle.
    """
    first, more = b"", False
    if passing.has_body:
        first, more = await _first_part(receive, passing.body_bytes_max)
    try:
        request = _request(client, passing, first, receive if more else None)
        try:
            await _exchange(request, passing, send, headers_for)
        except ConnectError:
            # A kept connection may have been closed under us. Reading again harms nobody.
            if passing.method not in SAFE_METHODS or passing.has_body:
                raise
            await _exchange(_request(client, passing, b"", None), passing, send, headers_for)
    except RequestTimeoutError as error:
        raise UpstreamTimeout from error
    except RequestError as error:
        raise UpstreamUnavailable from error


async def forward_stream(
    client: Client,
    passing: Passing,
    receive: Receive,
    send: Send,
    stopping: Stopping,
    *,
    headers_for: Mapping[int, list[Header]],
) -> None:
    """`forward`, for an answer that goes on until the service, the client or this process ends it.

    Who hangs up is let go at the service at once: it holds a place there.
    """
    has_begun = False

    async def send_and_know(message: Message) -> None:
        nonlocal has_begun
        has_begun = True
        await send(message)

    exchange = asyncio.create_task(
        forward(client, passing, receive, send_and_know, headers_for=headers_for)
    )
    ends = [asyncio.create_task(_hung_up(receive)), asyncio.create_task(stopping.wait())]
    try:
        await asyncio.wait([exchange, *ends], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (exchange, *ends):
            task.cancel()
        await asyncio.gather(exchange, *ends, return_exceptions=True)
    error = None if exchange.cancelled() else exchange.exception()
    if not has_begun:
        raise error or UpstreamUnavailable
    if exchange.cancelled() or isinstance(error, AnswerCutOff):
        # What was said so far stands by itself: every event has an end of its own.
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    elif error is not None:
        raise error


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_part(receive: Receive, bytes_max: int) -> tuple[bytes, bool]:
    """The body's first part and whether more follows. Most bodies come whole."""
    message = await receive()
    if message["type"] != "http.request":
        raise UpstreamUnavailable
    first = message.get("body", b"")
    if len(first) > bytes_max:
        raise BodyTooLarge
    return first, message.get("more_body", False)


def _request(client: Client, passing: Passing, first: bytes, rest: Receive | None) -> StreamRequest:
    builder = client.request(passing.method, passing.url).headers(passing.headers)
    if rest is not None:
        builder = builder.body_stream(_body(first, rest, passing.body_bytes_max))
    elif first:
        builder = builder.body_bytes(first)
    return builder.streamed_read_buffer_limit(UNBUFFERED).build_streamed()


async def _body(first: bytes, receive: Receive, bytes_max: int) -> AsyncIterator[bytes]:
    passed = len(first)
    yield first
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise UpstreamUnavailable  # the client hung up: so do we
        part, more = message.get("body", b""), message.get("more_body", False)
        passed += len(part)
        if passed > bytes_max:
            raise BodyTooLarge
        if part:
            yield part


async def _exchange(
    request: StreamRequest, passing: Passing, send: Send, headers_for: Mapping[int, list[Header]]
) -> None:
    async with request as answer:
        headers = response_headers(answer.headers.items())
        added = headers_for.get(answer.status, [])
        present = {name for name, _ in headers}
        headers.extend(header for header in added if header[0] not in present)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if passing.method != "HEAD" and answer.status not in BODILESS_STATUSES:
            try:
                while (part := await answer.body_reader.read_chunk()) is not None:
                    body = bytes(part)
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            except RequestError as error:
                log.warning("upstream.cut_off", error=type(error).__name__)
                raise AnswerCutOff from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})
