"""From a name to a socket: resolve once, vet every answer, dial a vetted address.

The guard sits where the socket is opened, so there is no moment between check and use in which a
name could move.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from seda_fetch.addresses import vet
from seda_fetch.errors import TooLarge, Unreachable
from seda_fetch.urls import literal_address

Resolve = Callable[[str], Awaitable[list[str]]]
"""Every A and AAAA address of a name, in one answer. Raises OSError if there is none."""

Dial = Callable[[str, int], Awaitable[httpcore.AsyncNetworkStream]]
"""Opens a TCP connection to an address that has been vetted."""

ADDRESSES_MAX = 64
"""A name with more than this is not a web site."""
DIALLED_ADDRESSES_MAX = 3
DIAL_TIMEOUT_SECONDS = 3.0
RESOLVER_THREADS = 16
READ_STEP_BYTES = 8_192
"""Small reads return to the event loop often, even when the other side sends one-byte chunks."""


class SystemResolver:
    """The platform's resolver on threads of its own, so slow names cannot take the default pool."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="seda-fetch-dns")

    async def __call__(self, host: str) -> list[str]:
        # The final dot keeps the resolver from trying the search domains of a cluster first.
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _lookup, f"{host}.")
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))


async def dial_tcp(address: str, port: int) -> httpcore.AsyncNetworkStream:
    """Raises httpcore.ConnectError or httpcore.ConnectTimeout."""
    backend = httpcore.AnyIOBackend()
    return await backend.connect_tcp(address, port, timeout=DIAL_TIMEOUT_SECONDS)


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection that ends with TooLarge once `bytes_max` have been read from it.

    It counts what HTTP framing hides: interim responses, chunk extensions, trailers.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream, bytes_max: int) -> None:
        self._inner = inner
        self._bytes_left = bytes_max

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._inner.read(min(max_bytes, READ_STEP_BYTES), timeout)
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise TooLarge("too many bytes on the wire")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        secured = await self._inner.start_tls(*args, **kwargs)
        return BoundedStream(secured, self._bytes_left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """One request's way to the network. `dialled_address` tells afterwards where it went."""

    def __init__(
        self,
        *,
        resolve: Resolve,
        dial: Dial,
        endpoints: Mapping[str, tuple[str, int]],
        bytes_max: int,
    ) -> None:
        self._resolve = resolve
        self._dial = dial
        self._endpoints = endpoints
        self._bytes_max = bytes_max
        self._opened: httpcore.AsyncNetworkStream | None = None
        self.dialled_address = ""

    async def aclose(self) -> None:
        """Close the connection this request opened, whoever holds it now."""
        if self._opened is not None:
            await self._opened.aclose()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if host in self._endpoints:
            address, port = self._endpoints[host]
            addresses = [address]
        else:
            addresses = await self._vetted_addresses(host)
        for address in addresses[:DIALLED_ADDRESSES_MAX]:
            try:
                stream = await self._dial(address, port)
            except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError):
                continue
            self._opened = stream
            self.dialled_address = address
            return BoundedStream(stream, self._bytes_max)
        raise Unreachable("no address answered", code="connect_failed")

    async def _vetted_addresses(self, host: str) -> list[str]:
        """One look-up. A single bad address condemns the name: the good ones are the bait."""
        literal = literal_address(host)
        if literal is not None:
            return [vet(literal)]
        try:
            found = await self._resolve(host)
        except (OSError, UnicodeError):
            raise Unreachable("name does not resolve", code="dns_failed") from None
        if not found or len(found) > ADDRESSES_MAX:
            raise Unreachable("no usable number of addresses", code="dns_failed")
        vetted = dict.fromkeys(vet(address) for address in found)
        # IPv4 first: a host without an IPv6 route would spend the deadline on dead attempts.
        return sorted(vetted, key=lambda address: ":" in address)
