"""What an operator may set. Every limit has its unit in its name and a default that is safe."""

from pathlib import Path
from typing import Annotated

import msgspec
from seda_runtime.settings import ServiceSettings, SettingsError

Positive = Annotated[int, msgspec.Meta(ge=1)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=300_000)]
ADMIN_API_KEY_LENGTH_MIN = 32
PLACEHOLDERS = ("changeme", "change-me", "your-", "secret", "example", "placeholder", "development")


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway's settings; `check_for_environment` refuses what is only fit for development."""

    user_artist_url: str = "http://127.0.0.1:3002"
    verification_url: str = "http://127.0.0.1:3003"
    chat_realtime_url: str = "http://127.0.0.1:3004"
    track_unfurl_url: str = "http://127.0.0.1:3005"
    crawler_url: str = "http://127.0.0.1:3006"
    realtime_url: str = "ws://127.0.0.1:3014/api/v1/realtime"

    auth_keyset_dir: str = ""
    """Where the key rings are. Empty keeps them in memory, in development and tests alone."""
    auth_signup_enabled: bool = True
    auth_access_ttl_seconds: Annotated[int, msgspec.Meta(ge=60, le=3_600)] = 900
    session_idle_days: Positive = 14
    session_life_days: Positive = 90
    sessions_per_account_max: Positive = 20
    revocation_staleness_seconds_max: Annotated[int, msgspec.Meta(ge=0, le=300)] = 30
    """How long NATS may be away before admin routes close."""
    admin_api_key: str = ""
    """Makes the first SUPER_ADMIN, once. Empty switches that off."""

    password_hash_workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    password_hash_waiting_max: Positive = 50

    cors_origins: tuple[str, ...] = ("http://localhost:3000",)
    docs_enabled: bool | None = None
    """Unset: on everywhere but in production."""
    trusted_proxy_hops: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    """How many proxies of ours stand before the gateway and append to X-Forwarded-For."""

    rate_limit_default_requests_max: Positive = 100
    rate_limit_default_window_seconds: Positive = 60
    rate_limit_max_requests: Positive = 100
    """Sign-up, login, refresh and bootstrap, per address and RATE_LIMIT_WINDOW_MS."""
    rate_limit_window_ms: Annotated[int, msgspec.Meta(ge=1_000)] = 900_000

    upstream_connect_timeout_ms: Milliseconds = 1_000
    upstream_read_timeout_ms: Milliseconds = 10_000
    upstream_total_timeout_ms: Milliseconds = 30_000
    upstream_connections_max: Positive = 512
    upstream_stream_silence_ms: Milliseconds = 45_000
    """Of an answer without an end; services say something three times as often."""
    upstream_streams_max: Positive = 512

    @property
    def docs_are_open(self) -> bool:
        return self.env != "production" if self.docs_enabled is None else self.docs_enabled

    @property
    def keyset_folder(self) -> Path | None:
        return Path(self.auth_keyset_dir) if self.auth_keyset_dir else None

    @property
    def may_make_keys(self) -> bool:
        return self.env in ("development", "test")


def check_for_environment(settings: Settings) -> None:
    """Refuse a start that would be unsafe. Raises SettingsError naming every problem, no value."""
    problems = [*_problems_anywhere(settings)]
    if settings.env == "production":
        problems += _problems_in_production(settings)
    if settings.keyset_folder is None and not settings.may_make_keys:
        problems.append("AUTH_KEYSET_DIR is required outside development and test")
    if problems:
        raise SettingsError("; ".join(problems))


def _problems_anywhere(settings: Settings) -> list[str]:
    problems = []
    if any("*" in origin for origin in settings.cors_origins):
        problems.append("CORS_ORIGINS must name each origin: credentials never go to `*`")
    if "null" in settings.cors_origins:
        problems.append("CORS_ORIGINS must not allow the origin `null`")
    if settings.upstream_total_timeout_ms < settings.upstream_read_timeout_ms:
        problems.append("UPSTREAM_TOTAL_TIMEOUT_MS is shorter than UPSTREAM_READ_TIMEOUT_MS")
    return problems


def _problems_in_production(settings: Settings) -> list[str]:
    problems = []
    if settings.docs_are_open:
        problems.append("DOCS_ENABLED must be off in production")
    if any(not origin.startswith("https://") for origin in settings.cors_origins):
        problems.append("CORS_ORIGINS must be https in production")
    if not settings.realtime_url.startswith("wss://"):
        problems.append("REALTIME_URL must be wss in production")
    key = settings.admin_api_key
    if key and (
        len(key) < ADMIN_API_KEY_LENGTH_MIN or any(word in key.lower() for word in PLACEHOLDERS)
    ):
        problems.append("ADMIN_API_KEY is too short or a placeholder")
    return problems
