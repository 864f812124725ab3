"""The generic cell rate algorithm: one number per caller, no windows to reset.

Each caller's number is the time at which its allowance would be whole again. Time is passed in.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitClass:
    """So many requests in so many seconds; a caller may spend them all at once."""

    name: str
    requests_max: int
    window_seconds: int

    @property
    def policy(self) -> str:
        return f'"{self.name}";q={self.requests_max};w={self.window_seconds}'


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    remaining: int
    reset_seconds: int
    """Until the whole allowance is there again."""
    retry_after_seconds: int


class Limiter:
    """The allowances of the callers seen lately, in least recently used order, bounded."""

    def __init__(self, limit: LimitClass, *, callers_max: int = 100_000) -> None:
        self.limit = limit
        self._interval = limit.window_seconds / limit.requests_max
        self._whole_at: OrderedDict[str, float] = OrderedDict()
        self._callers_max = callers_max

    def take(self, caller: str, *, now: float) -> Decision:
        """Take one request from the caller's allowance, or say when the next one will be there."""
        whole_at = max(self._whole_at.pop(caller, now), now)
        window = self.limit.window_seconds
        after = whole_at + self._interval
        # A millionth of an interval forgives the rounding of adding it up many times.
        if after - now > window + self._interval * 1e-6:
            self._remember(caller, whole_at)
            return Decision(False, 0, ceil(whole_at - now), max(1, ceil(after - now - window)))
        self._remember(caller, after)
        remaining = int((window - (after - now)) / self._interval + 1e-6)
        return Decision(True, remaining, ceil(after - now), 0)

    def _remember(self, caller: str, whole_at: float) -> None:
        self._whole_at[caller] = whole_at
        if len(self._whole_at) > self._callers_max:
            self._whole_at.popitem(last=False)


def network_of(address: str) -> str:
    """One bucket per IPv4 address and per IPv6 /64, which is what one household holds."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)


def client_address(peer: str | None, forwarded_for: str | None, *, trusted_hops: int) -> str:
    """Who really called: the peer, or the entry that our own outermost proxy wrote.

    Each trusted hop appends the address it saw. What stands further left was sent by the client
    and is not believed. A chain that is too short means a proxy was bypassed: the peer counts.
    """
    if trusted_hops > 0 and forwarded_for:
        chain = [entry.strip() for entry in forwarded_for.split(",")]
        if len(chain) >= trusted_hops:
            return chain[-trusted_hops]
    return peer or "unknown"
