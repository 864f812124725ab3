"""What user-artist reads from its environment. Its limits are rules of the domain, not settings."""

from seda_runtime.settings import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing beyond what every service needs."""
