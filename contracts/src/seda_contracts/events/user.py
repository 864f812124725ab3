"""Facts about listeners, and their latest card. Owner: user-artist."""

from typing import ClassVar
from uuid import UUID

from seda_contracts.base import Event, State, Timestamp


class UserProfileCreated(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "user.profile.created.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    version: int
    created_at: Timestamp


class UserProfileUpdated(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "user.profile.updated.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    version: int
    changed: list[str]
    updated_at: Timestamp


class BlockChanged(Event, frozen=True, kw_only=True):
    """Somebody wants to hear nothing of somebody, or wants to again. The other never learns of it.

    The version only rises for the two, so an older word is dropped.
    """

    TYPE: ClassVar[str] = "user.block.changed.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    is_blocked: bool
    version: int
    changed_at: Timestamp


class UserState(State, frozen=True, kw_only=True):
    """What others may show of a person. Personal data."""

    TYPE: ClassVar[str] = "user.v1"
    KEY: ClassVar[str] = "user_id"

    user_id: UUID
    handle: str
    display_name: str
    avatar_url: str | None = None
