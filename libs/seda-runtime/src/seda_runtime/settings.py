"""Settings: one frozen struct per service, filled from environment variables at the edge.

A field `port` is the variable PORT. Nothing else in a service reads the environment.
"""

import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from seda_runtime.failpoints import parse_failpoints

Environment = Literal["development", "test", "qa", "sandbox", "production"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
S = TypeVar("S", bound=msgspec.Struct)


class SettingsError(Exception):
    """One or more variables are missing or wrong; the message names each, never its value."""


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every service needs. Services subclass it and add their own limits, with units."""

    env: Environment = "development"
    version: str = "0.1.0"
    host: str = "127.0.0.1"
    port: Port
    metrics_port: Port | None = None
    """Prometheus text; none keeps it off, 0 lets the kernel choose."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    database_url: str
    database_pool_size: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    nats_url: str
    nats_nkey_seed: str | None = None
    """The service's private key at a broker that knows users; a secret."""
    gateway_url: str = "http://127.0.0.1:3001"
    """Where the public keys of tokens are read."""
    otel_exporter_otlp_endpoint: str | None = None
    trace_sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    body_bytes_max: int = 1_048_576
    shutdown_grace_seconds: Annotated[int, msgspec.Meta(ge=1, le=300)] = 20
    seda_failpoint: str | None = None
    """Where this process is to die on purpose (`seda_runtime.failpoints`). Tests only."""

    def __post_init__(self) -> None:
        """Raises SettingsError for values that are well-formed and still dangerous."""
        if self.seda_failpoint and self.env not in ("development", "test"):
            raise SettingsError(f"SEDA_FAILPOINT is for tests and refused in {self.env}")
        try:
            parse_failpoints(self.seda_failpoint or "")
        except ValueError as error:
            raise SettingsError(f"SEDA_FAILPOINT: {error}") from error


class MigrateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `migrate` needs: the schema owner's credentials and the broker."""

    database_owner_url: str
    nats_url: str
    nats_nkey_seed: str | None = None
    """The provisioner's, not the service's: serving processes make no streams."""


def load(kind: type[S], env: Mapping[str, str]) -> S:
    """Read `kind` from `env`. Tuples are comma-separated, mappings are JSON, empty means unset.

    Raises SettingsError with every problem at once, so that one restart is enough to mend all.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        name = field.name.upper()
        text = env.get(name, "")
        if text == "":
            if field.required:
                problems.append(f"{name} is required")
            continue
        try:
            values[field.name] = _parse(text, hints[field.name])
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)


def _parse(text: str, hint: Any) -> Any:
    kinds = {typing.get_origin(part) or part for part in (hint, *typing.get_args(hint))}
    if kinds & {dict, Mapping}:
        return msgspec.json.decode(text, type=hint)
    if tuple in kinds:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return msgspec.convert(parts, type=hint, strict=False)
    return msgspec.convert(text, type=hint, strict=False)
