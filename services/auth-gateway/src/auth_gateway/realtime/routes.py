"""HTTP of the way to the socket. The socket itself is chat-realtime's."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import post
from litestar.di import NamedDependency
from seda_identity import Policy, Principal
from seda_runtime.ids import uuid7

from auth_gateway.keys.signing import Signer
from auth_gateway.sessions.operations import SessionKeeping
from auth_gateway.sessions.tokens import ISSUER
from auth_gateway.settings import Settings

TICKET_TYPE = "seda-ticket+jwt"
TICKET_AUDIENCE = "chat-realtime"
TICKET_SECONDS = 30


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Open `url` as a WebSocket; send `ticket` in its first frame within `expires_in` seconds."""

    url: str
    ticket: str
    expires_in: int


@post(
    "/api/v1/realtime/connect",
    operation_id="ConnectRealtime",
    tags=["realtime"],
    status_code=200,
    policy=Policy("realtime:connect"),
)
async def connect(
    principal: NamedDependency[Principal],
    settings: NamedDependency[Settings],
    signer: NamedDependency[Signer],
    keeping: NamedDependency[SessionKeeping],
) -> Connection:
    """A ticket for one socket. It travels in a frame, never in an address."""
    ticket = signer.sign(TICKET_TYPE, ticket_claims(principal, now=keeping.now()))
    return Connection(url=settings.realtime_url, ticket=ticket, expires_in=TICKET_SECONDS)


def ticket_claims(principal: Principal, *, now: datetime) -> dict[str, Any]:
    issued_at = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": TICKET_AUDIENCE,
        "sub": str(principal.require_user()),
        "sid": str(principal.session_id),
        "role": principal.role.name,
        "perm_v": principal.perm_version,
        "jti": uuid7().hex,
        "iat": issued_at,
        "exp": issued_at + TICKET_SECONDS,
    }
    if principal.scopes is not None:
        claims["scope"] = " ".join(sorted(principal.scopes))
        # A key that ends takes its sockets along; a person's session is watched instead.
        if principal.expires_at is not None:
            claims["until"] = principal.expires_at
    return claims
