"""Merge the services' OpenAPI documents into one. Pure: documents in, document out."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from auth_gateway.proxy.domain import route_for

Document: TypeAlias = Mapping[str, Any]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
TITLE = "seda.fm API"
DESCRIPTION = "Music-first social platform API"
VERSION = "1.0"
SECURITY_SCHEME = "bearer"


def merge(own: Document, services: Mapping[str, Document]) -> dict[str, Any]:
    """The public API: the gateway's paths, and of each service the paths that lead to it.

    Component names and operation ids get the service's name in front where two would meet, so
    every id is unique and every reference finds its own.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
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


def _operation(
    operation: Document, service: str, renamed: Mapping[str, str], taken: set[str]
) -> dict[str, Any]:
    merged: dict[str, Any] = _with_references(operation, renamed)
    wanted = str(operation.get("operationId", "Operation"))
    merged["operationId"] = wanted if wanted not in taken else f"{_words(service)}{wanted}"
    taken.add(merged["operationId"])
    merged["tags"] = [service]
    return merged


def _free_name(name: str, service: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else f"{_words(service)}_{name}"


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
