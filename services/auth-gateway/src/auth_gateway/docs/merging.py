"""Merge the services' OpenAPI documents into one. Pure: documents in, document out."""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from auth_gateway.proxy.domain import required_role, route_for

Document: TypeAlias = Mapping[str, Any]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
TITLE = "seda.fm API"
DESCRIPTION = "Music-first social platform API"
VERSION = "1.0"
SECURITY_SCHEME = "bearer"
ANY_PROBLEM = {"$ref": "#/components/responses/Problem"}
_TEXT = {"type": "string"}
_FIELD_ERROR = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": _TEXT, "message": _TEXT},
}
PROBLEM: Document = {
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; switch on it, never on the words.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": {**_TEXT, "description": "The path that was asked for."},
        "code": _TEXT,
        "request_id": {**_TEXT, "description": "Name it when you report the problem."},
        "errors": {"type": "array", "items": _FIELD_ERROR},
        "statusCode": {"type": "integer", "description": "As `status`, for older clients."},
        "timestamp": {"type": "string", "format": "date-time"},
        "path": _TEXT,
        "method": _TEXT,
        "message": {"type": "array", "items": _TEXT},
    },
}
"""What `seda_runtime.problems.problem_body` writes."""


def merge(own: Document, services: Mapping[str, Document]) -> dict[str, Any]:
    """The public API: the gateway's paths, and of each service the paths that lead to it.

    Component names and operation ids get the service's name in front where two would meet, so
    every id is unique and every reference finds its own.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    operation_ids: set[str] = set()
    for name, document in {"auth-gateway": own, **services}.items():
        held = document.get("components", {}).get("schemas", {})
        renamed = {old: _free_name(old, name, schemas) for old in held}
        for old, new in renamed.items():
            schemas[new] = _with_references(held[old], renamed)
        for path, item in document.get("paths", {}).items():
            if path in paths or not _leads_to(path, name):
                continue
            paths[path] = {
                method: _operation(operation, name, renamed, operation_ids)
                | _optional_token(path, method)
                for method, operation in item.items()
                if method in METHODS
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": DESCRIPTION, "version": VERSION},
        "servers": [{"url": "/"}],
        "security": [{SECURITY_SCHEME: []}],
        "tags": [{"name": name} for name in sorted({"auth-gateway", *services})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {
                "Problem": {
                    "description": "Refused or failed.",
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": "#/components/schemas/Problem"}
                        }
                    },
                }
            },
            "securitySchemes": {
                SECURITY_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _leads_to(path: str, service: str) -> bool:
    """Whether this gateway serves the path by that service: the rest of it stays inside."""
    route = route_for(path)
    if service == "auth-gateway":
        return route is None and not path.startswith(("/livez", "/readyz", "/openapi"))
    return route is not None and route.service == service


def _optional_token(path: str, method: str) -> dict[str, Any]:
    """What anonymous callers may ask a service for; there it may matter who asks."""
    route = route_for(path)
    if route is None or required_role(route, method.upper()) is not None:
        return {}
    return {"security": [{}, {SECURITY_SCHEME: []}]}


def _operation(
    operation: Document, service: str, renamed: Mapping[str, str], taken: set[str]
) -> dict[str, Any]:
    merged: dict[str, Any] = _with_references(operation, renamed)
    wanted = str(operation.get("operationId", "Operation"))
    if " " not in operation.get("summary", ""):  # the framework's own guess, from a function
        merged["summary"] = _sentence(wanted)
    # The framework describes its own form of error, which no answer here has.
    answers = {code: held for code, held in merged.get("responses", {}).items() if code < "400"}
    merged["responses"] = answers | {"4XX": ANY_PROBLEM, "5XX": ANY_PROBLEM}
    merged["operationId"] = wanted if wanted not in taken else f"{_words(service)}{wanted}"
    taken.add(merged["operationId"])
    merged["tags"] = [service]
    return merged


def _free_name(name: str, service: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else f"{_words(service)}_{name}"


def _sentence(operation_id: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", operation_id).capitalize()


def _words(service: str) -> str:
    return "".join(word.capitalize() for word in service.split("-"))


def _with_references(node: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(node, Mapping):
        return {key: _reference(key, value, renamed) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_with_references(entry, renamed) for entry in node]
    return node


def _reference(key: str, value: Any, renamed: Mapping[str, str]) -> Any:
    if key != "$ref" or not isinstance(value, str):
        return _with_references(value, renamed)
    head, _, name = value.rpartition("/")
    return f"{head}/{renamed.get(name, name)}"
