"""The gateway's signed identity on every internal request, checked before any route runs.

`X-Seda-Identity` is an ES256 JWT of type `seda-internal+jwt`, living 60 s, for one service, one
method and one path: taken from one request it is worth nothing on another.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from seda_identity.policy import guard_policies
from seda_identity.principal import ANONYMOUS, Principal, Role
from seda_identity.tokens import InvalidToken, JwksCache, TokenVerifier

HEADER = "x-seda-identity"
TOKEN_TYPE = "seda-internal+jwt"
ISSUER = "seda-gateway"


class InvalidIdentity(Exception):
    """The request did not come through the gateway, or not as this request."""

    def __str__(self) -> str:
        return "Invalid authentication token"


def path_hash(path: str) -> str:
    """What binds an identity to a path: SHA-256 of the decoded path without its query."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


class IdentityVerifier:
    """Turns the header into a principal for one service."""

    def __init__(self, gateway_url: str, *, audience: str) -> None:
        keys = JwksCache(f"{gateway_url.rstrip('/')}/.well-known/internal-jwks.json")
        self._tokens = TokenVerifier(keys, issuer=ISSUER, audience=audience, token_type=TOKEN_TYPE)

    async def principal(self, token: str, *, method: str, path: str) -> Principal:
        """Raises InvalidIdentity, or KeysUnavailable while the gateway's keys cannot be read."""
        try:
            claims = await self._tokens.verify(token)
        except InvalidToken as error:
            raise InvalidIdentity from error
        bound = claims.get("m") == method and hmac.compare_digest(
            str(claims.get("p")), path_hash(path)
        )
        if not bound:
            raise InvalidIdentity
        return principal_of(claims)


def principal_of(claims: dict[str, Any]) -> Principal:
    """Raises InvalidIdentity for claims that do not name a person soundly."""
    if "sub" not in claims:
        return ANONYMOUS
    try:
        return Principal(
            user_id=UUID(claims["sub"]),
            session_id=UUID(claims["sid"]) if "sid" in claims else None,
            role=Role[claims["role"]],
            aal=int(claims.get("aal", 1)),
            perm_version=int(claims.get("perm_v", 0)),
            expires_at=int(claims["until"]) if "until" in claims else None,
            scopes=scopes_of(claims),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidIdentity from error


def scopes_of(claims: dict[str, Any]) -> frozenset[str] | None:
    """Raises ValueError for anything but words with spaces between: nothing is guessed."""
    scopes = claims.get("scope")
    if scopes is None:
        return None
    if not isinstance(scopes, str):
        raise ValueError("scope is no text")
    return frozenset(scopes.split())


def require_identity(verifier: IdentityVerifier) -> Callable[[AppConfig], AppConfig]:
    """For `build_app(on_app_init=...)`: all but operational routes see a verified caller.

    Adds the check of the header, the guard of route policies and the dependency `principal`.
    """

    def install(config: AppConfig) -> AppConfig:
        config.middleware.append(DefineMiddleware(_IdentityMiddleware, verifier=verifier))
        config.guards.append(guard_policies)
        config.dependencies["principal"] = Provide(provide_principal, sync_to_thread=False)
        return config

    return install


class _IdentityMiddleware:
    def __init__(self, app: ASGIApp, verifier: IdentityVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and not scope["route_handler"].opt.get("open"):
            connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
            token = connection.headers.get(HEADER)
            if token is None:
                raise InvalidIdentity
            scope["state"]["principal"] = await self._verifier.principal(
                token, method=str(scope["method"]), path=scope["path"]
            )
        await self._app(scope, receive, send)


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """Dependency `principal`: who the gateway vouches for."""
    principal = request.scope["state"].get("principal", ANONYMOUS)
    assert isinstance(principal, Principal)
    return principal
