"""One JSON line per fact, on standard output, with the trace it belongs to.

Values under names that hold secrets or personal data are cut out, whoever logs them.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import msgspec
import structlog
from opentelemetry import trace

_SECRET_NAMES = frozenset(
    {
        "authorization",
        "cookie",
        "password",
        "token",
        "access_token",
        "refresh_token",
        "ticket",
        "secret",
        "api_key",
        "admin_api_key",
        "email",
        "text",
        "database_url",
    }
)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(source=name))


def configure_logging(*, service: str, version: str, env: str, level: str) -> None:
    """Send structlog and the standard library's loggers through one JSON pipeline."""

    def add_service(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record.update(service=service, version=version, env=env)
        return record

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        add_service,
        _add_trace,
        _cut_secrets,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_StandardOutput,
        cache_logger_on_first_use=True,
    )
    handler = _StandardOutputHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(getattr(logging, level.upper()), logging.INFO))
    for noisy in ("httpx", "httpcore", "nats", "alembic", "asyncio", "_granian", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _StandardOutput:
    """Writes to whatever standard output is at that moment: test runners and hosts replace it."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    debug = info = warning = error = critical = exception = log = msg


class _StandardOutputHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _StandardOutput().msg(self.format(record))


def _add_trace(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record["trace_id"] = f"{context.trace_id:032x}"
        record["span_id"] = f"{context.span_id:016x}"
    return record


def _cut_secrets(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in record.keys() & _SECRET_NAMES:
        record[name] = "[cut]"
    return record


def _to_json(record: Any, **_: Any) -> str:
    return msgspec.json.encode(record, enc_hook=repr).decode()
