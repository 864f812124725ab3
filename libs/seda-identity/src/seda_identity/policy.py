"""Deny by default: every route says what it needs, or the service does not start."""

from typing import Any

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from seda_identity.principal import ANONYMOUS, Principal, Role, SignInRequired

__all__ = ["Forbidden", "Policy", "PolicyMissing", "SignInRequired", "enforce_policies"]


class Forbidden(Exception):
    """The caller is known and may not do this."""

    def __str__(self) -> str:
        return "Admin privileges required"


class PolicyMissing(Exception):
    """Routes without a declared policy; the start is refused."""


class Policy(msgspec.Struct, frozen=True):
    """What a route needs of its caller. `limit` names a rate-limit class of the gateway.

    Owner rules (my profile, my room) are in the operations, beside the data that decides them.
    """

    permission: str
    role: Role = Role.USER
    aal: int = 1
    limit: str = "default"


def enforce_policies(app: Litestar) -> None:
    """Raises PolicyMissing naming every route that declares neither a policy nor `open`."""
    missing = sorted(
        f"{' '.join(sorted(str(m) for m in handler.http_methods))} {route.path}"
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        and not isinstance(handler.opt.get("policy"), Policy)
        and not handler.opt.get("open")
        and handler.http_methods != {"OPTIONS"}
    )
    if missing:
        raise PolicyMissing("routes without a policy: " + ", ".join(missing))


def guard_policies(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Litestar guard for the whole application. Raises SignInRequired or Forbidden."""
    policy = handler.opt.get("policy")
    if not isinstance(policy, Policy):
        return
    principal = connection.scope["state"].get("principal", ANONYMOUS)
    assert isinstance(principal, Principal)
    principal.check_scope(policy.permission)
    if policy.role is Role.ANYONE:
        return
    if principal.user_id is None:
        raise SignInRequired
    if principal.role < policy.role or principal.aal < policy.aal:
        raise Forbidden
