"""Sign JWTs with the current key of a ring, and publish the ring's public halves."""

import base64
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth_gateway.keys.domain import Ring, SigningKey

ALGORITHM = "ES256"


class Signer:
    """One ring with its current key parsed once: parsing costs more than a signature."""

    def __init__(self, ring: Ring[SigningKey]) -> None:
        self._kid = ring.current.kid
        self._private = private_key(ring.current)
        self._ring = ring

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """A compact JWS whose `typ` says what it may be used for."""
        return jwt.encode(
            dict(claims), self._private, ALGORITHM, headers={"kid": self._kid, "typ": kind}
        )

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public halves (RFC 7517)."""
        return {"keys": [_public_jwk(key) for key in self._ring.all()]}


def private_key(key: SigningKey) -> EllipticCurvePrivateKey:
    """Raises ValueError for a key that is not on P-256."""
    private = load_pem_private_key(key.private_pem.encode(), password=None)
    if not isinstance(private, EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise ValueError(f"key {key.kid} is not a P-256 key")
    return private


def _public_jwk(key: SigningKey) -> dict[str, str]:
    numbers = private_key(key).public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "alg": ALGORITHM,
        "use": "sig",
        "kid": key.kid,
        "x": _coordinate(numbers.x),
        "y": _coordinate(numbers.y),
    }


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
