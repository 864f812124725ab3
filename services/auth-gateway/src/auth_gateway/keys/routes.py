"""The public keys, for everybody who verifies what this gateway signs."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from auth_gateway.keys.signing import Signer

CACHE_SECONDS = 300
"""Part of how long a key must overlap its successor; see the README on rotation."""


@get(
    "/.well-known/jwks.json",
    operation_id="GetJwks",
    tags=["keys"],
    opt={"open": True},
    security=[{}],
)
async def access_keys(signer: NamedDependency[Signer]) -> Response[dict[str, Any]]:
    """Keys of access tokens and socket tickets."""
    return _published(signer)


@get(
    "/.well-known/internal-jwks.json",
    operation_id="GetInternalJwks",
    opt={"open": True},
    include_in_schema=False,
)
async def internal_keys(internal_signer: NamedDependency[Signer]) -> Response[dict[str, Any]]:
    """Keys of internal identities; of no use to anybody outside, and no secret."""
    return _published(internal_signer)


def _published(signer: Signer) -> Response[dict[str, Any]]:
    headers = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    return Response(signer.jwks(), headers=headers)


KEY_ROUTES = (access_keys, internal_keys)
