"""Any other web page: the address without its fragment and tracking parameters is its identity."""

import hashlib
from urllib.parse import unquote_plus

from track_unfurl.links.canonical import Canonical, LinkParts

_TRACKING = frozenset(
    {"si", "feature", "ref", "app", "ls", "igshid", "fbclid", "gclid", "context", "pi"}
)


def read(parts: LinkParts) -> Canonical:
    address = _without_tracking(parts.href.partition("#")[0])
    return Canonical(
        provider="generic",
        kind="link",
        provider_id=hashlib.sha256(address.encode()).hexdigest(),
        canonical_url=address,
    )


def _without_tracking(address: str) -> str:
    """Pairs are dropped as written and never re-encoded: a page may care how its query is spelt."""
    page, _, query = address.partition("?")
    kept = [pair for pair in query.split("&") if pair and not _is_tracking(pair)]
    return f"{page}?{'&'.join(kept)}" if kept else page


def _is_tracking(pair: str) -> bool:
    name = unquote_plus(pair.partition("=")[0]).lower()
    return name.startswith("utm_") or name in _TRACKING
