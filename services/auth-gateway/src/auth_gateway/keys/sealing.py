"""Secrets that rest in rows: AES-256-GCM, bound to the row they belong to.

A stolen table alone opens nothing, and a sealed value moved to another row does not open.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auth_gateway.keys.domain import Ring, SealingKey

NONCE_BYTES = 12
_SEPARATOR = b":"


class CannotUnseal(Exception):
    """Sealed with a key that has left the ring, or altered."""


def seal(ring: Ring[SealingKey], secret: bytes, *, row: bytes) -> bytes:
    """`<kid>:<nonce><ciphertext>` under the current key."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(ring.current.secret).encrypt(nonce, secret, row)
    return ring.current.kid.encode() + _SEPARATOR + nonce + sealed


def unseal(ring: Ring[SealingKey], sealed: bytes, *, row: bytes) -> bytes:
    """Raises CannotUnseal."""
    kid, _, rest = sealed.partition(_SEPARATOR)
    key = ring.find(kid.decode("ascii", "replace"))
    if key is None:
        raise CannotUnseal
    try:
        return AESGCM(key.secret).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], row)
    except (InvalidTag, ValueError) as error:
        raise CannotUnseal from error


def is_current(ring: Ring[SealingKey], sealed: bytes) -> bool:
    """False when the value should be sealed anew, before its key leaves the ring."""
    return sealed.startswith(ring.current.kid.encode() + _SEPARATOR)
