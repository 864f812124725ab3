"""Manners and patience per host: few requests at once, a pause when asked, none while it is down.

One slow provider must not take the places of the others, and one that fails must not be waited for
again by everyone.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CONCURRENT_MAX = 8
FAILURES_MAX = 5
FAILURE_WINDOW_SECONDS = 30.0
OPEN_SECONDS = 30.0
HOSTS_MAX = 2_000


class HostPaused(Exception):
    """The host asked for a pause or has failed too often; nothing was sent."""


@dataclass(slots=True)
class _Host:
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_MAX))
    failed_at: list[float] = field(default_factory=list)
    closed_until: float = 0.0
    is_probing: bool = False


class Hosts:
    """`monotonic` is the clock, in seconds; tests bring their own."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[None]:
        """One of the host's places. Raises HostPaused at once rather than wait out a pause."""
        host = self._host(name)
        now = self._monotonic()
        if now < host.closed_until or (host.closed_until and host.is_probing):
            raise HostPaused
        probes = host.is_probing = bool(host.closed_until)
        try:
            async with host.places:
                yield
        finally:
            if probes:
                host.is_probing = False

    def succeeded(self, name: str) -> None:
        host = self._host(name)
        host.failed_at.clear()
        host.closed_until = 0.0

    def failed(self, name: str) -> None:
        """The fifth failure within the window, or a failed probe, closes the host for a while."""
        host, now = self._host(name), self._monotonic()
        host.failed_at = [at for at in host.failed_at if now - at < FAILURE_WINDOW_SECONDS] + [now]
        if host.closed_until or len(host.failed_at) >= FAILURES_MAX:
            host.closed_until = now + OPEN_SECONDS

    def pause(self, name: str, seconds: float) -> None:
        host = self._host(name)
        host.closed_until = max(host.closed_until, self._monotonic() + seconds)

    def _host(self, name: str) -> _Host:
        host = self._hosts.setdefault(name, _Host())
        self._hosts.move_to_end(name)
        while len(self._hosts) > HOSTS_MAX:
            self._hosts.popitem(last=False)
        return host
