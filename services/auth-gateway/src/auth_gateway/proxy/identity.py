"""The passport of one request: who asks, for one service, one method and one path, for a minute."""

import time
from typing import Any

from seda_identity import Principal
from seda_identity.identity import ISSUER, TOKEN_TYPE, path_hash

from auth_gateway.keys.signing import Signer

IDENTITY_SECONDS = 60


def identity_for(
    principal: Principal, signer: Signer, *, service: str, method: str, path: str, request_id: str
) -> str:
    """Signed with the internal ring. An anonymous caller's passport names nobody."""
    issued_at = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": service,
        "iat": issued_at,
        "exp": issued_at + IDENTITY_SECONDS,
        "m": method,
        "p": path_hash(path),
        "rid": request_id,
    }
    if principal.user_id is not None:
        claims["sub"] = str(principal.user_id)
        claims["role"] = principal.role.name
        claims["aal"] = principal.aal
        claims["perm_v"] = principal.perm_version
    if principal.expires_at is not None:
        claims["until"] = principal.expires_at
    if principal.session_id is not None:
        claims["sid"] = str(principal.session_id)
    if principal.scopes is not None:
        claims["scope"] = " ".join(sorted(principal.scopes))
    return signer.sign(TOKEN_TYPE, claims)
