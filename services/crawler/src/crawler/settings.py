"""What the crawler reads from its environment."""

from typing import Annotated

from msgspec import Meta
from seda_fetch import OverrideForbidden, check_override_allowed
from seda_runtime.settings import ServiceSettings, SettingsError


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds how the crawler presents itself and how patient it is."""

    crawler_user_agent: Annotated[str, Meta(min_length=3, max_length=200)] = (
        "SedaBot/1.0 (+https://seda.fm/bot)"
    )
    """Its part before the slash is also the name that robots.txt rules are read for."""
    crawler_timeout_ms: Annotated[int, Meta(ge=100, le=120_000)] = 30_000
    """One attempt: name, connection, redirects and body together."""
    crawler_max_retries: Annotated[int, Meta(ge=0, le=10)] = 3
    crawler_retry_budget_ms: Annotated[int, Meta(ge=0, le=600_000)] = 90_000
    """All waiting between the attempts of one job."""
    crawler_host_interval_ms: Annotated[int, Meta(ge=0, le=60_000)] = 1_000
    """Least time between two requests to one host."""
    crawler_concurrency: Annotated[int, Meta(ge=1, le=128)] = 16
    fetch_resolver_override: dict[str, str] = {}
    """Demo and test sites: host to loopback address and port."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            check_override_allowed(self.env, self.fetch_resolver_override)
        except OverrideForbidden as error:
            raise SettingsError(f"FETCH_RESOLVER_OVERRIDE: {error}") from error
