"""The one door to every route, own or proxied: limit, token, role, in this order of telling.

A refused token costs as much of the caller's allowance as an accepted request, so guessing is not
free; a key that was not good lately costs it before the database is asked. What a route needs
stands in its `Policy`, or in the proxy's table.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from litestar.enums import ScopeType
from litestar.exceptions import MethodNotAllowedException
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from seda_identity import Forbidden, Policy, Principal, Role
from seda_identity.principal import ANONYMOUS

from auth_gateway.access.refusals import (
    AccessTokenExpired,
    BodyNotJson,
    InvalidAccessToken,
    MissingToken,
    RateLimited,
    credential,
)
from auth_gateway.access.tokens import AccessTokens
from auth_gateway.bots.domain import InvalidKey, looks_like_key
from auth_gateway.bots.keys import ApiKeys
from auth_gateway.limits.domain import Decision, Limiter, client_address, network_of
from auth_gateway.proxy.domain import METHODS, required_role, route_for
from auth_gateway.sessions.revocation import Revocations

PER_ADDRESS_LIMITS = frozenset({"auth"})
"""Classes counted by address even for a known caller: accounts are free, addresses are not."""
REFUSED_TOKEN = (InvalidAccessToken, AccessTokenExpired, InvalidKey)


class Requirement(NamedTuple):
    """What a request must bring."""

    role: Role
    aal: int
    limit: str
    reads_token: bool
    """Own routes for anyone do not look at the token: a client whose access token has expired must
    still be able to refresh it."""
    permission: str | None = None
    """Of the gateway's own routes. Keys are made for a few of them and never for the rest."""


class Gate:
    """Litestar middleware around every route. Leaves in the scope's state the principal, and the
    limit headers that the edge writes on whatever the answer becomes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: AccessTokens,
        keys: ApiKeys,
        revocations: Revocations,
        limiters: Mapping[str, Limiter],
        trusted_hops: int,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._keys = keys
        self._revocations = revocations
        self._limiters = limiters
        self._trusted_hops = trusted_hops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        http: HTTPScope = scope
        required = requirement_of(http)
        if required is None:
            await self._app(scope, receive, send)
            return
        limiter = self._limiters[required.limit]
        principal, refusal, is_charged = await self._who(http, required, limiter)
        if not is_charged:
            _charge(http, limiter, self._caller(http, principal, required))
        if refusal is not None:
            raise refusal
        self._authorise(principal, required)
        _check_content_type(http)
        http["state"]["principal"] = principal
        await self._app(scope, receive, send)

    async def _who(
        self, scope: HTTPScope, required: Requirement, limiter: Limiter
    ) -> tuple[Principal, Exception | None, bool]:
        """Who calls, why they are refused, and whether that is charged already."""
        if not required.reads_token:
            return ANONYMOUS, None, False
        is_charged = False
        try:
            token = credential(scope["headers"])
            if token is None:
                return ANONYMOUS, None, False
            if not looks_like_key(token):
                return await self._tokens.principal(token), None, False
            if self._keys.is_strange(token):
                _charge(scope, limiter, self._address(scope))
                is_charged = True
            # One that proves good pays like any other: the address paid for the look.
            return await self._keys.principal(token), None, False
        except REFUSED_TOKEN as refusal:
            return ANONYMOUS, refusal, is_charged

    def _caller(self, scope: HTTPScope, principal: Principal, required: Requirement) -> str:
        if principal.user_id is not None and required.limit not in PER_ADDRESS_LIMITS:
            return str(principal.user_id)
        return self._address(scope)

    def _address(self, scope: HTTPScope) -> str:
        peer = scope["client"]
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        address = client_address(
            peer[0] if peer else None,
            b",".join(forwarded).decode("latin-1"),
            trusted_hops=self._trusted_hops,
        )
        return network_of(address)

    def _authorise(self, principal: Principal, required: Requirement) -> None:
        if required.permission is not None:
            # What is proxied, its service judges: the passport carries the scopes.
            principal.check_scope(required.permission)
        if required.role is Role.ANYONE:
            return
        if principal.user_id is None:
            raise MissingToken
        if principal.role < required.role or principal.aal < required.aal:
            raise Forbidden
        if required.role >= Role.ADMIN:
            self._revocations.check_fresh()


def requirement_of(scope: HTTPScope) -> Requirement | None:
    """None for operational routes. Raises MethodNotAllowedException for odd methods on proxied
    paths; an unknown path below a mount asks for nothing, it is answered with 404.
    """
    opt: Mapping[str, Any] = scope["route_handler"].opt
    policy = opt.get("policy")
    if isinstance(policy, Policy):
        reads_token = policy.role is not Role.ANYONE
        return Requirement(policy.role, policy.aal, policy.limit, reads_token, policy.permission)
    route = route_for(scope["state"]["plain_path"]) if opt.get("proxied") else None
    if route is None:
        return None
    method = str(scope["method"])
    if method not in METHODS:
        raise MethodNotAllowedException(headers={"Allow": ", ".join(sorted(METHODS))})
    role = required_role(route, method)
    return Requirement(Role.ANYONE if role is None else Role[role], 1, route.limit, True)


def _check_content_type(scope: HTTPScope) -> None:
    """Raises BodyNotJson for a body that does not say it is JSON."""
    headers = dict(scope["headers"])
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if has_body and media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise BodyNotJson


def _charge(scope: HTTPScope, limiter: Limiter, caller: str) -> None:
    """Raises RateLimited. Where the caller stands is told either way."""
    decision = limiter.take(caller, now=time.monotonic())
    scope["state"]["limit_headers"] = _limit_headers(limiter, decision)
    if not decision.allowed:
        raise RateLimited(decision.retry_after_seconds)


def _limit_headers(limiter: Limiter, decision: Decision) -> list[tuple[bytes, bytes]]:
    state = f'"{limiter.limit.name}";r={decision.remaining};t={decision.reset_seconds}'
    return [
        (b"ratelimit-policy", limiter.limit.policy.encode()),
        (b"ratelimit", state.encode()),
    ]
