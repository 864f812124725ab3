"""The access token: RFC 9068 claims, fifteen minutes, and nothing personal in it."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from seda_runtime.ids import uuid7

from auth_gateway.keys.signing import Signer
from auth_gateway.sessions.operations import Grant

ISSUER = "seda-gateway"
AUDIENCE = "seda-api"
TOKEN_TYPE = "at+jwt"
CLIENT_ID = "seda-first-party"


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client holds after sign-up, login or refresh."""

    user_id: str
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


def answer_with_tokens(
    grant: Grant, signer: Signer, *, now: datetime, ttl: timedelta
) -> TokenAnswer:
    return TokenAnswer(
        user_id=str(grant.account_id),
        access_token=signer.sign(TOKEN_TYPE, access_claims(grant, now=now, ttl=ttl)),
        token_type="Bearer",
        expires_in=int(ttl.total_seconds()),
        refresh_token=grant.refresh_token,
    )


def access_claims(grant: Grant, *, now: datetime, ttl: timedelta) -> dict[str, Any]:
    issued_at = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(grant.account_id),
        "sid": str(grant.session_id),
        "client_id": CLIENT_ID,
        "role": grant.role,
        "perm_v": grant.perm_version,
        "aal": 1,
        "amr": ["pwd"],
        "auth_time": int(grant.logged_in_at.timestamp()),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + int(ttl.total_seconds()),
        "jti": uuid7().hex,
    }
