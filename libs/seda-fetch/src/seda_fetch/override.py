"""The resolver override: demo and test sites on loopback, and the rule that keeps it there."""

from collections.abc import Mapping

from seda_fetch.errors import OverrideForbidden

OVERRIDE_ENVIRONMENTS = frozenset({"development", "test"})


def check_override_allowed(env: str, override: Mapping[str, str] | None) -> None:
    """Raises OverrideForbidden if any host is overridden outside development and test."""
    if override and env not in OVERRIDE_ENVIRONMENTS:
        raise OverrideForbidden(f"a resolver override is not allowed when ENV is {env}")


def parse_override(override: Mapping[str, str] | None) -> dict[str, tuple[str, int]]:
    """`{"tunes.example": "127.0.0.1:8080"}` as endpoints. Raises ValueError on anything else."""
    endpoints: dict[str, tuple[str, int]] = {}
    for host, endpoint in (override or {}).items():
        address, separator, port = endpoint.rpartition(":")
        if not separator or not port.isdecimal():
            raise ValueError(f"resolver override of {host} is not address:port")
        endpoints[host.lower()] = (address.strip("[]"), int(port))
    return endpoints
