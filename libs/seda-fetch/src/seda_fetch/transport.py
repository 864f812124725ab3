"""One httpx request over one guarded connection, which is closed behind it.

No connection is kept: a pooled one would answer for a name that has moved since it was vetted.
"""

import ssl
from collections.abc import AsyncIterator

import httpcore
import httpx

from seda_fetch.dialling import GuardedBackend
from seda_fetch.errors import BadResponse, Unreachable

BACKEND = "seda_fetch.backend"
"""Request extension: the GuardedBackend this request is to use."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Hands httpcore the request target as parsed by us (extension `target`), never re-encoded.

    Set-Cookie is dropped: a client shared by all requests must not carry one site's cookie jar.
    """

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        backend = request.extensions[BACKEND]
        assert isinstance(backend, GuardedBackend)
        core_request = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.extensions["target"],
            ),
            headers=request.headers.raw,
            content=request.stream,
        )
        connection = httpcore.AsyncHTTPConnection(
            core_request.url.origin, ssl_context=self._ssl_context, network_backend=backend
        )
        try:
            response = await _ask(connection, core_request)
        except BaseException:
            # A deadline that falls into the TLS handshake leaves a socket httpcore does not know.
            await backend.aclose()
            raise
        return httpx.Response(
            status_code=response.status,
            headers=[(k, v) for k, v in response.headers if k.lower() != b"set-cookie"],
            stream=_ClosingStream(response, backend),
            request=request,
        )


async def _ask(
    connection: httpcore.AsyncHTTPConnection, request: httpcore.Request
) -> httpcore.Response:
    try:
        return await connection.handle_async_request(request)
    except httpcore.ConnectError as error:
        # The backend reports a failed dial in its own words, so this is the TLS handshake.
        raise Unreachable("TLS handshake failed", code="tls_failed") from error
    except httpcore.NetworkError as error:
        raise BadResponse("connection broke before an answer") from error
    except httpcore.ProtocolError as error:
        raise BadResponse("answer is not HTTP") from error


class _ClosingStream(httpx.AsyncByteStream):
    """The body as it came from the wire; closing it closes the connection."""

    def __init__(self, response: httpcore.Response, backend: GuardedBackend) -> None:
        self._response = response
        self._backend = backend

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise BadResponse("connection broke inside the body") from error

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        finally:
            await self._backend.aclose()
