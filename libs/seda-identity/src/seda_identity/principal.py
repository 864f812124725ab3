"""Who is asking."""

from enum import IntEnum
from uuid import UUID

import msgspec


class SignInRequired(Exception):
    """The caller is anonymous and this needs a person."""

    def __str__(self) -> str:
        return "Missing authentication token"


class Role(IntEnum):
    """Platform roles, each allowing what the ones before it allow. Room roles are chat's own."""

    ANYONE = 0
    USER = 1
    ADMIN = 2
    SUPER_ADMIN = 3


class ScopeMissing(Exception):
    """The key may be used for less than this."""

    def __str__(self) -> str:
        return "The key has no scope for this"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller as the gateway vouches for. `aal` is the assurance level of the sign-in."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    role: Role = Role.ANYONE
    aal: int = 0
    perm_version: int = 0
    """Which version of the person's rights `role` was read at."""
    expires_at: int | None = None
    """Unix seconds at which what the caller signed in with ends. Matters to answers that go on."""
    scopes: frozenset[str] | None = None
    """The permissions of a bot's key. None for a person, who may do what their role may."""

    def check_scope(self, permission: str) -> None:
        """Raises ScopeMissing."""
        if self.scopes is not None and permission not in self.scopes:
            raise ScopeMissing

    def require_user(self) -> UUID:
        """Raises SignInRequired for an anonymous caller."""
        if self.user_id is None:
            raise SignInRequired
        return self.user_id


ANONYMOUS = Principal()
