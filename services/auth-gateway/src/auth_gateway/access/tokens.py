"""From a bearer token to a principal: signature once, expiry and revocation every time."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from jwt.algorithms import ECAlgorithm
from seda_identity import Principal, Role
from seda_identity.tokens import InvalidToken, TokenExpired, TokenVerifier

from auth_gateway.access.refusals import AccessTokenExpired, InvalidAccessToken
from auth_gateway.keys.signing import Signer
from auth_gateway.sessions.revocation import Revocations
from auth_gateway.sessions.tokens import AUDIENCE, ISSUER, TOKEN_TYPE


class Claims(msgspec.Struct, frozen=True):
    """What this gateway reads of its own tokens; anything missing makes the token invalid."""

    sub: UUID
    sid: UUID
    role: Literal["USER", "ADMIN", "SUPER_ADMIN"]
    perm_v: int
    aal: int
    exp: int


class OwnKeys:
    """The gateway's own public keys: no fetch, so no header can make it fetch anything."""

    def __init__(self, signer: Signer) -> None:
        self._keys = {key["kid"]: ECAlgorithm.from_jwk(key) for key in signer.jwks()["keys"]}

    async def key(self, kid: str) -> Any:
        """Raises InvalidToken for a key that is not in the ring."""
        try:
            return self._keys[kid]
        except KeyError:
            raise InvalidToken("unknown key") from None


class AccessTokens:
    """Verifies this gateway's access tokens."""

    def __init__(self, signer: Signer, revocations: Revocations) -> None:
        self._verifier = TokenVerifier(
            OwnKeys(signer), issuer=ISSUER, audience=AUDIENCE, token_type=TOKEN_TYPE
        )
        self._revocations = revocations

    async def principal(self, token: str) -> Principal:
        """Raises InvalidAccessToken or AccessTokenExpired."""
        try:
            claims = msgspec.convert(await self._verifier.verify(token), Claims)
        except TokenExpired as error:
            raise AccessTokenExpired from error
        except (InvalidToken, msgspec.ValidationError) as error:
            raise InvalidAccessToken from error
        if self._revocations.is_revoked(
            session_id=claims.sid, account_id=claims.sub, perm_version=claims.perm_v
        ):
            raise InvalidAccessToken
        return Principal(
            user_id=claims.sub,
            session_id=claims.sid,
            role=Role[claims.role],
            aal=claims.aal,
            perm_version=claims.perm_v,
            expires_at=claims.exp,
        )
