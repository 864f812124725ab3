"""What a host's robots.txt means for us (RFC 9309). Matching is Protego's; the rest is here."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Literal

from protego import Protego

BODY_BYTES_MAX = 500 * 1024
"""What RFC 9309 asks a crawler to read at least; we read exactly this much."""
LINE_CHARACTERS_MAX = 2_000
PARSED_HOSTS_MAX = 64
CRAWL_DELAY_SECONDS_MAX = 10.0
FRESH = timedelta(hours=24)

RobotsStatus = Literal["found", "absent", "unreachable"]
_BYTE_ORDER_MARKS = ("\ufeff", "ï»¿", "\xef\xbb", "\xef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether a URL may be fetched. `known` is False while the host does not say."""

    allowed: bool
    known: bool = True
    crawl_delay_seconds: float = 0.0


def status_of(status_code: int) -> RobotsStatus:
    """Anything that is not a rule book and not an outage means there are no rules."""
    if 200 <= status_code < 300:
        return "found"
    if status_code == 429 or status_code >= 500:
        return "unreachable"
    return "absent"


def permission(status: str, body: str, url: str, product: str) -> Permission:
    """What the rules say of one URL for our product token."""
    if status == "unreachable":
        return Permission(allowed=False, known=False)
    if status == "absent":
        return Permission(allowed=True)
    rules = _parse(body)
    delay_seconds = rules.crawl_delay(product) or 0.0
    return Permission(
        allowed=bool(rules.can_fetch(url, product)),
        crawl_delay_seconds=min(max(float(delay_seconds), 0.0), CRAWL_DELAY_SECONDS_MAX),
    )


def product_token(user_agent: str) -> str:
    """`SedaBot/1.0 (+https://…)` answers to `SedaBot`."""
    return user_agent.partition("/")[0].strip()


@lru_cache(maxsize=PARSED_HOSTS_MAX)
def _parse(body: str) -> Protego:
    for mark in _BYTE_ORDER_MARKS:
        body = body.removeprefix(mark)
    lines = (line for line in body.splitlines() if len(line) <= LINE_CHARACTERS_MAX)
    return Protego.parse("\n".join(lines))
