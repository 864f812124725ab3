"""Build a service's HTTP application and serve it, the same way for all six.

`build_app` gives health, problems, request records, limits and OpenAPI; the service brings its
routes and its long-lived parts. `serve` runs it on Granian until SIGTERM.
"""

import ctypes
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router, get
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ControllerRouterHandler, Middleware

from seda_runtime.collector import collect_rarely
from seda_runtime.failpoints import arm_failpoints
from seda_runtime.health import OPEN, HealthBoard, ReadyCheck
from seda_runtime.logging import configure_logging, get_logger
from seda_runtime.problems import ProblemTable, exception_handlers
from seda_runtime.requests import record_requests
from seda_runtime.settings import ServiceSettings
from seda_runtime.stopping import Stopping
from seda_runtime.telemetry import configure_telemetry, serve_metrics

log = get_logger(__name__)
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]
PR_SET_PDEATHSIG = 1


def build_app(
    settings: ServiceSettings,
    *,
    name: str,
    description: str,
    route_handlers: Sequence[ControllerRouterHandler],
    problems: ProblemTable,
    lifespan: Sequence[Lifespan] = (),
    dependencies: Mapping[str, Provide] | None = None,
    ready_checks: Mapping[str, ReadyCheck] | None = None,
    middleware: Sequence[Middleware] = (),
    before_start: Sequence[Callable[[Litestar], None]] = (),
    on_app_init: Sequence[Callable[[AppConfig], AppConfig]] = (),
) -> Litestar:
    """The service's ASGI application.

    `before_start` runs once all routes are known and may refuse the start (missing policies).
    `lifespan` parts open in order and close in reverse.
    """
    configure_logging(
        service=name, version=settings.version, env=settings.env, level=settings.log_level
    )
    configure_telemetry(
        service=name,
        version=settings.version,
        env=settings.env,
        otlp_endpoint=settings.otel_exporter_otlp_endpoint,
        sample_ratio=settings.trace_sample_ratio,
    )
    arm_failpoints(settings.seda_failpoint)
    board = HealthBoard(ready_checks or {})
    stopping = Stopping()

    @asynccontextmanager
    async def announce(app: Litestar) -> Any:
        if settings.env != "test":
            die_with_parent(signal.SIGTERM)  # the worker follows Granian's own process
            collect_rarely()
        stopping.begin_on_signal()
        with serve_metrics(settings.host, settings.metrics_port) as metrics_port:
            log.info("service.started", port=settings.port, metrics_port=metrics_port)
            try:
                yield
            finally:
                board.draining = True
                stopping.begin()
                log.info("service.stopping")

    app = Litestar(
        route_handlers=[*board.routes(), openapi_document, *route_handlers],
        lifespan=[*lifespan, announce],
        dependencies=dict(dependencies or {}),
        exception_handlers=exception_handlers(problems),
        middleware=list(middleware),
        on_app_init=list(on_app_init),
        request_max_body_size=settings.body_bytes_max,
        openapi_config=OpenAPIConfig(
            title=f"seda.fm {name}",
            version="1.0",
            description=description,
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt=OPEN),
        ),
        logging_config=None,
        debug=False,
    )
    app.state.stopping = stopping
    for hook in before_start:
        hook(app)
    app.asgi_handler = record_requests(app.asgi_handler, sample_ratio=settings.trace_sample_ratio)
    return app


@get("/openapi.json", opt=OPEN, include_in_schema=False)
async def openapi_document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The service's own OpenAPI 3.1; the gateway merges all six."""
    return request.app.openapi_schema.to_schema()


def serve(target: str, settings: ServiceSettings) -> None:
    """Run `package.app:create_app_from_env` on Granian with one worker; scale by processes.

    SIGTERM and SIGINT drain within `shutdown_grace_seconds`. When whoever started this process
    dies, it stops too, so a killed supervisor leaves nothing behind.
    """
    from granian.constants import Interfaces, Loops

    from seda_runtime.serving import Server

    die_with_parent(signal.SIGTERM)
    Server(
        target,
        interface=Interfaces.ASGI,
        factory=True,
        address=settings.host,
        port=settings.port,
        workers=1,
        loop=Loops.uvloop,
        log_enabled=True,
        log_level="warning",  # type: ignore[arg-type]
        log_access=False,
        workers_kill_timeout=settings.shutdown_grace_seconds,
    ).serve()


def die_with_parent(sign: signal.Signals) -> None:
    """Ask Linux to send `sign` when the parent's thread ends; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sign))
