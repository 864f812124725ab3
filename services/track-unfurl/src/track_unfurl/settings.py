"""What track-unfurl reads from its environment."""

from typing import Annotated

from msgspec import Meta
from seda_runtime.settings import ServiceSettings

Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fetch_resolver_override` points host names at loopback sites, in development and tests."""

    unfurl_budget_ms: Milliseconds = 400
    """What a caller waits for a link nobody has asked for before."""
    unfurl_fetch_ms: Milliseconds = 5_000
    """What the fetch itself may take; it goes on when the caller has been answered."""
    chart_cache_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 300
    """How long one process answers with the same ranking."""
    fetch_user_agent: str = "SedaBot/1.0 (+https://seda.fm/bot)"
    fetch_resolver_override: dict[str, str] | None = None
