"""The fetcher: follows a chain of guarded hops under one deadline and returns bounded bytes."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Self

import httpx

from seda_fetch.body import ACCEPT_ENCODING, Body, StopAfter, read_body
from seda_fetch.charset import decode
from seda_fetch.dialling import Dial, GuardedBackend, Resolve, SystemResolver, dial_tcp
from seda_fetch.errors import (
    BadResponse,
    DeadlineExceeded,
    FetchError,
    TooLarge,
    TooManyRedirects,
)
from seda_fetch.override import parse_override
from seda_fetch.transport import BACKEND, GuardedTransport
from seda_fetch.urls import WEB_PORTS, TargetUrl, parse_url

REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_SINGLE_HEADERS = frozenset({"content-length", "content-type", "location"})
"""Headers whose repetition with another value makes two readers see two answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Limits of one fetch. `deadline_seconds` covers the whole chain, look-ups included."""

    deadline_seconds: float = 30.0
    redirects_max: int = 5
    raw_bytes_max: int = 512 * 1024
    decoded_bytes_max: int = 512 * 1024
    header_bytes_max: int = 64 * 1024
    ports: frozenset[int] = WEB_PORTS

    @property
    def wire_bytes_max(self) -> int:
        """Everything one connection may send: headers, body, and a quarter more of framing."""
        return self.header_bytes_max + self.raw_bytes_max + self.raw_bytes_max // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer, whatever its status. `redirect_urls` are the hops after `url`, in order."""

    url: str
    final_url: str
    redirect_urls: tuple[str, ...]
    status_code: int
    headers: Mapping[str, str]
    """Names in lower case; repeated headers are joined by a comma."""
    body: bytes = field(repr=False)
    dialled_address: str
    """The address of the last hop."""
    truncated: bool
    """True when the body was cut by `truncate` or `stop_after`."""

    def text(self) -> str:
        content_type = self.headers.get("content-type", "")
        return decode(self.body, content_type, truncated=self.truncated)


class Fetcher:
    """Guarded outbound GET. One instance serves any number of concurrent requests.

    `resolve` and `dial` exist for tests; production uses the defaults. A host in
    `resolver_override` skips name resolution and address vetting and is dialled where the
    override says; every other rule holds for it too.
    """

    def __init__(
        self,
        user_agent: str,
        limits: FetchLimits | None = None,
        resolver_override: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        *,
        resolve: Resolve | None = None,
        dial: Dial = dial_tcp,
    ) -> None:
        self._limits = limits or FetchLimits()
        self._user_agent = user_agent
        self._endpoints = parse_override(resolver_override)
        self._system_resolver = SystemResolver()
        self._resolve: Resolve = resolve or self._system_resolver
        self._dial = dial
        context = ssl_context or httpx.create_ssl_context(trust_env=False)
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(context),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - the deadline of the chain is the only clock
        )

    async def get(
        self,
        url: str | TargetUrl,
        *,
        accept: str = "text/html,application/json;q=0.9",
        deadline_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        stop_after: StopAfter | None = None,
        truncate: bool = False,
    ) -> Fetched:
        """The answer at the end of the redirects. Raises a FetchError; statuses are no errors.

        `headers` (validators of a cached copy, say) go to the first origin only. `stop_after` is
        shown the decoded body from time to time and ends the reading by returning True.
        `truncate` keeps the first `decoded_bytes_max` bytes instead of raising TooLarge.
        """
        budget_seconds = self._limits.deadline_seconds
        if deadline_seconds is not None:
            budget_seconds = min(budget_seconds, deadline_seconds)
        visited = [url if isinstance(url, str) else url.href]
        try:
            async with asyncio.timeout(budget_seconds):
                return await self._follow(
                    visited,
                    headers={"accept": accept},
                    first_origin_headers=headers or {},
                    stop_after=stop_after,
                    truncate=truncate,
                )
        except TimeoutError:
            raise _placed(DeadlineExceeded(), visited) from None
        except FetchError as error:
            raise _placed(error, visited) from error.__cause__

    async def _follow(
        self,
        visited: list[str],
        *,
        headers: Mapping[str, str],
        first_origin_headers: Mapping[str, str],
        stop_after: StopAfter | None,
        truncate: bool,
    ) -> Fetched:
        """Appends every hop to `visited` before it is checked, so a refusal can be placed."""
        ports = self._limits.ports
        target = parse_url(visited[0], ports=ports)
        visited[0] = target.href
        first_origin = target.origin
        while True:
            own_headers = first_origin_headers if target.origin == first_origin else {}
            answer = await self._ask(
                target, {**own_headers, **headers}, stop_after=stop_after, truncate=truncate
            )
            if answer.location is None:
                return answer.fetched(visited)
            if len(visited) > self._limits.redirects_max:
                raise TooManyRedirects
            visited.append(answer.location)
            target = parse_url(answer.location, base=target, ports=ports)
            visited[-1] = target.href

    async def _ask(
        self,
        target: TargetUrl,
        headers: Mapping[str, str],
        *,
        stop_after: StopAfter | None,
        truncate: bool,
    ) -> "_Answer":
        """One hop. The body of a redirect is not read."""
        limits = self._limits
        backend = GuardedBackend(
            resolve=self._resolve,
            dial=self._dial,
            endpoints=self._endpoints,
            bytes_max=limits.wire_bytes_max,
        )
        request = self._request(target, headers, backend)
        response = await self._client.send(request, stream=True)
        async with aclosing(response):
            received = _checked_headers(response, limits.header_bytes_max)
            location = received.get("location")
            if response.status_code in REDIRECT_STATUSES and location is not None:
                body = Body(b"", truncated=True)
            else:
                location = None
                body = await read_body(
                    response.aiter_raw(),
                    content_encoding=received.get("content-encoding", ""),
                    raw_bytes_max=limits.raw_bytes_max,
                    decoded_bytes_max=limits.decoded_bytes_max,
                    stop_after=stop_after,
                    truncate=truncate,
                )
        return _Answer(response.status_code, received, location, body, backend.dialled_address)

    def _request(
        self, target: TargetUrl, headers: Mapping[str, str], backend: GuardedBackend
    ) -> httpx.Request:
        """httpx sees the origin only; path and query go to the wire as our one parse left them."""
        return httpx.Request(
            "GET",
            httpx.URL(scheme=target.scheme, host=target.host, port=target.port),
            headers={
                **headers,
                "host": target.authority,
                "user-agent": self._user_agent,
                "accept-encoding": ACCEPT_ENCODING,
                "connection": "close",
            },
            extensions={"target": target.request_target, BACKEND: backend},
        )

    async def aclose(self) -> None:
        await self._client.aclose()
        self._system_resolver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    headers: Mapping[str, str]
    location: str | None
    """Where to go next; None ends the chain."""
    body: Body
    dialled_address: str

    def fetched(self, visited: list[str]) -> Fetched:
        return Fetched(
            url=visited[0],
            final_url=visited[-1],
            redirect_urls=tuple(visited[1:]),
            status_code=self.status_code,
            headers=self.headers,
            body=self.body.content,
            dialled_address=self.dialled_address,
            truncated=self.body.truncated,
        )


def _checked_headers(response: httpx.Response, bytes_max: int) -> dict[str, str]:
    """The headers as a plain mapping. Raises on too many bytes and on ambiguous framing."""
    if sum(len(name) + len(value) + 4 for name, value in response.headers.raw) > bytes_max:
        raise TooLarge("headers are too large")
    received = dict(response.headers)
    for name in _SINGLE_HEADERS & received.keys():
        values = set(response.headers.get_list(name))
        if len(values) > 1:
            raise BadResponse("a header that must be single is repeated")
        received[name] = values.pop()
    if "content-length" in received and "transfer-encoding" in received:
        raise BadResponse("two lengths for one body")
    return received


def _placed(error: FetchError, visited: list[str]) -> FetchError:
    error.failed_url = visited[-1]
    error.redirect_urls = tuple(visited[1:])
    return error
