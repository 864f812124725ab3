"""Facts about accounts and sessions. Owner: auth-gateway."""

from typing import ClassVar, Literal
from uuid import UUID

from seda_contracts.base import Event, Timestamp


class AccountRegistered(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "auth.account.registered.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    method: Literal["password"]
    registered_at: Timestamp
    display_name: str | None = None
    """Personal data: what the person typed at sign-up; purged by key when the account is erased."""


class SessionRevoked(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "auth.session.revoked.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    session_id: UUID
    reason: Literal["logout", "refresh_reuse", "revoked", "role_changed"]
    revoked_at: Timestamp


class RoleChanged(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "auth.role.changed.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    role: Literal["USER", "ADMIN", "SUPER_ADMIN"]
    changed_by: UUID
    changed_at: Timestamp
    perm_version: int = 0
    """Access tokens of this person with a lower `perm_v` are void."""


class AccountSuspended(Event, frozen=True, kw_only=True):
    """Nobody acts as this person until `until`, or until it is restored. Why, the owner keeps."""

    TYPE: ClassVar[str] = "auth.account.suspended.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    suspended_by: UUID
    suspended_at: Timestamp
    perm_version: int
    """Rises with every change of an account's rights: the highest tells how it stands now."""
    until: Timestamp | None = None


class AccountRestored(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "auth.account.restored.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    restored_by: UUID
    restored_at: Timestamp
    perm_version: int


class BotCreated(Event, frozen=True, kw_only=True):
    """An account without a person: it signs in by keys that its owner makes."""

    TYPE: ClassVar[str] = "auth.bot.created.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    owner_id: UUID
    created_at: Timestamp
    display_name: str
    """Personal data: what its owner typed."""
