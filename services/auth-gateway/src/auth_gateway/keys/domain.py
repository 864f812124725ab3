"""What a key ring is: next, current, previous, and how one turn moves them.

A new key is published before it signs and after it stopped, so that no verifier meets a signature
whose key it has not had the time to fetch.
"""

from typing import Generic, Literal, TypeVar

import msgspec

State = Literal["next", "current", "previous"]


class SigningKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An ES256 key pair. The private half never leaves this process and its file."""

    kid: str
    private_pem: str


class SealingKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A 256-bit AES key for secrets that rest in rows."""

    kid: str
    secret: bytes


K = TypeVar("K", SigningKey, SealingKey)


class Ring(msgspec.Struct, Generic[K], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three places. `next` waits, `current` works, `previous` is still believed."""

    current: K
    next: K
    previous: K | None = None

    def all(self) -> tuple[K, ...]:
        held = (self.next, self.current, self.previous)
        return tuple(key for key in held if key is not None)

    def turned(self, fresh: K) -> "Ring[K]":
        """One rotation: next signs, current is only believed, previous is forgotten."""
        return Ring(current=self.next, next=fresh, previous=self.current)

    def find(self, kid: str) -> K | None:
        return next((key for key in self.all() if key.kid == kid), None)


class KeySet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the gateway signs or seals with. The two signing rings must stay apart: what one
    audience believes must never be made with the other's key.
    """

    access: Ring[SigningKey]
    internal: Ring[SigningKey]
    sealing: Ring[SealingKey]
