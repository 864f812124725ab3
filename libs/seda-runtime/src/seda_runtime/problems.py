"""Errors as RFC 9457 `application/problem+json`, with the members older clients parse.

Domain errors are plain exceptions; a service's `problems.py` maps each to a status and a stable
code. Nothing that is not in a table reaches a client as more than `internal`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from seda_runtime.clock import utc_now
from seda_runtime.logging import get_logger

log = get_logger(__name__)
PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "https://seda.fm/problems/"


class Problem(msgspec.Struct, frozen=True):
    """What a client is told of one kind of error. `code` never changes its meaning."""

    status: int
    code: str
    title: str


ProblemTable: TypeAlias = Mapping[type[Exception], Problem]
Handler: TypeAlias = Callable[[Request[Any, Any, Any], Exception], Response[bytes]]

INTERNAL = Problem(500, "internal", "Internal server error")
MALFORMED = Problem(400, "malformed_body", "The body is not valid JSON.")
UNAVAILABLE = Problem(503, "unavailable", "A part of the platform is not reachable right now.")
HTTP_CODES = {
    400: Problem(400, "bad_request", "The request could not be understood."),
    401: Problem(401, "invalid_token", "Authentication failed"),
    403: Problem(403, "forbidden", "This is not allowed."),
    404: Problem(404, "not_found", "There is nothing here."),
    405: Problem(405, "method_not_allowed", "This method is not allowed here."),
    413: Problem(413, "too_large", "The request body is too large."),
    415: Problem(415, "unsupported_media_type", "Send JSON."),
    429: Problem(429, "rate_limited", "Too many requests."),
    503: UNAVAILABLE,
}


def problem_body(
    problem: Problem,
    *,
    path: str,
    method: str,
    request_id: str,
    detail: str | None = None,
    errors: list[dict[str, str]] | None = None,
) -> bytes:
    """The body alone, for edges that answer without a Litestar request (proxy, socket upgrade)."""
    text = detail or problem.title
    messages = [f"{e['field']}: {e['message']}" for e in errors or ()] or [text]
    return msgspec.json.encode(
        {
            "type": TYPE_PREFIX + problem.code,
            "title": problem.title,
            "status": problem.status,
            "detail": text,
            "instance": path,
            "code": problem.code,
            "request_id": request_id,
            "errors": errors or [],
            "statusCode": problem.status,
            "timestamp": utc_now(),
            "path": path,
            "method": method,
            "message": messages,
        }
    )


def exception_handlers(table: ProblemTable) -> ExceptionHandlersMap:
    """Handlers for Litestar: the service's own errors, the framework's, and everything else."""
    handlers: dict[int | type[Exception], Handler] = {
        kind: _mapped(problem) for kind, problem in table.items()
    }
    handlers.setdefault(HTTPException, _answer_http)
    handlers.setdefault(RecursionError, _mapped(MALFORMED))  # JSON nested too deep to decode
    handlers.setdefault(ConnectionError, _mapped(UNAVAILABLE))
    handlers.setdefault(Exception, _answer_unknown)
    return handlers


def _mapped(problem: Problem) -> Handler:
    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        headers = dict(getattr(error, "headers", None) or {})
        retry_after_seconds = getattr(error, "retry_after_seconds", None)
        if retry_after_seconds is not None:
            headers["Retry-After"] = str(retry_after_seconds)
        # Only errors of our own domains speak to clients; an operating system's name hosts.
        own_words = not isinstance(error, (RecursionError, OSError))
        detail = (str(error) or None) if own_words else None
        if problem.status >= 500:
            cause = repr(error.__cause__ or error)
            log.warning("request.unavailable", path=request.url.path, cause=cause[:300])
        return _response(request, problem, detail=detail, headers=headers)

    return answer


def _answer_http(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if not isinstance(error, HTTPException):
        return _answer_unknown(request, error)
    if error.status_code >= 500:
        log.error("request.failed", path=request.url.path, exc_info=error)
        return _response(request, HTTP_CODES.get(error.status_code, INTERNAL))
    if isinstance(error, ValidationException):
        invalid = Problem(400, "validation_failed", "Some fields are not valid.")
        return _response(request, invalid, errors=_field_errors(error))
    known = HTTP_CODES.get(error.status_code)
    problem = known or Problem(error.status_code, "bad_request", "The request was refused.")
    if error.status_code == 400:
        # Litestar reports a body that is no JSON as a plain client error with parser text.
        return _response(request, MALFORMED)
    return _response(request, problem, headers=dict(error.headers or {}))


def _answer_unknown(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("request.failed", path=request.url.path, exc_info=error)
    return _response(request, INTERNAL)


def _field_errors(error: ValidationException) -> list[dict[str, str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    found = [
        {"field": str(e.get("key", "")), "message": str(e.get("message", ""))}
        for e in extra
        if isinstance(e, dict)
    ]
    return found or [{"field": "", "message": "not valid"}]


def _response(
    request: Request[Any, Any, Any],
    problem: Problem,
    *,
    detail: str | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    body = problem_body(
        problem,
        path=request.url.path,
        method=request.method,
        request_id=str(request.scope.get("state", {}).get("request_id", "")),
        detail=detail,
        errors=errors,
    )
    return Response(
        body, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers or {}
    )
