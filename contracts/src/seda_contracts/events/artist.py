"""Facts about artist profiles, and their latest card. Owner: user-artist."""

from typing import ClassVar
from uuid import UUID

from seda_contracts.base import Event, State, Timestamp


class ArtistProfileCreated(Event, frozen=True, kw_only=True):
    """A person opened an artist profile. `links` are public pages the artist listed."""

    TYPE: ClassVar[str] = "artist.profile.created.v1"
    KEY: ClassVar[str] = "artist_id"

    artist_id: UUID
    user_id: UUID
    version: int
    links: list[str]
    created_at: Timestamp


class ArtistProfileUpdated(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "artist.profile.updated.v1"
    KEY: ClassVar[str] = "artist_id"

    artist_id: UUID
    user_id: UUID
    version: int
    changed: list[str]
    links: list[str]
    updated_at: Timestamp


class ArtistVerificationApplied(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "artist.verification.applied.v1"
    KEY: ClassVar[str] = "artist_id"

    artist_id: UUID
    user_id: UUID
    version: int
    verified: bool
    verified_at: Timestamp | None = None


class ArtistState(State, frozen=True, kw_only=True):
    """What others may show of an artist. `verified` is the badge."""

    TYPE: ClassVar[str] = "artist.v1"
    KEY: ClassVar[str] = "artist_id"

    artist_id: UUID
    user_id: UUID
    artist_name: str
    verified: bool
