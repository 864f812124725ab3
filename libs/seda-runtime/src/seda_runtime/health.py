"""Is the process alive, is it ready, and the documented health shape (mission H-01).

`/livez` depends on nothing, so an outage of the database never restarts every pod.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from seda_runtime.clock import utc_now

ReadyCheck = Callable[[], Awaitable[bool]]
OPEN = {"open": True}
"""Marks an operational route: it needs no identity and declares no policy."""
_CHECK_SECONDS_MAX = 2.0
_CACHE_SECONDS = 1.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`unhealthy` when the database is gone, `degraded` when anything else is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    checks: dict[str, bool]
    uptime: float
    timestamp: datetime


class HealthBoard:
    """Asks every part at most once a second, and never waits longer than two for one."""

    def __init__(self, checks: Mapping[str, ReadyCheck]) -> None:
        self._checks = dict(checks)
        self._started = time.monotonic()
        self._cached: tuple[float, Health] | None = None
        self.draining = False

    async def look(self) -> Health:
        if self._cached is not None and time.monotonic() - self._cached[0] < _CACHE_SECONDS:
            return self._cached[1]
        answers = await asyncio.gather(*(_ask(check) for check in self._checks.values()))
        checks = dict(zip(self._checks, answers, strict=True))
        status: Literal["healthy", "degraded", "unhealthy"] = "healthy"
        if not all(checks.values()):
            status = "degraded" if checks.get("database", True) else "unhealthy"
        health = Health(
            status=status,
            checks=checks,
            uptime=round(time.monotonic() - self._started, 3),
            timestamp=utc_now(),
        )
        self._cached = (time.monotonic(), health)
        return health

    def routes(self) -> list[HTTPRouteHandler]:
        @get("/livez", opt=OPEN, include_in_schema=False)
        async def live() -> dict[str, str]:
            return {"status": "alive"}

        @get("/readyz", opt=OPEN, include_in_schema=False)
        async def ready() -> Response[Any]:
            if self.draining:
                return Response({"status": "draining"}, status_code=503)
            health = await self.look()
            is_ready = all(health.checks.values())
            return Response(health, status_code=200 if is_ready else 503)

        @get("/api/v1/health", opt=OPEN, operation_id="GetHealth", security=[{}])
        async def health() -> Response[Health]:
            found = await self.look()
            return Response(found, status_code=503 if found.status == "unhealthy" else 200)

        @get("/health/database", opt=OPEN, include_in_schema=False)
        async def database() -> Response[dict[str, Any]]:
            found = await self.look()
            if found.checks.get("database", False):
                return Response({"status": "healthy", "timestamp": found.timestamp})
            return Response(
                {"status": "unhealthy", "error": "database_unreachable"}, status_code=503
            )

        return [live, ready, health, database]


async def _ask(check: ReadyCheck) -> bool:
    try:
        return await asyncio.wait_for(check(), _CHECK_SECONDS_MAX)
    except (TimeoutError, OSError):
        return False
