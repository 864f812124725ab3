"""Links that became track cards, and the ranking over them. Owner: track-unfurl."""

from typing import ClassVar, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from seda_contracts.base import Command, Event, State, Timestamp

CardStatus = Literal["ok", "partial"]
UnresolvableReason = Literal["not_found", "blocked", "unsupported", "refused", "unreachable"]


def link_id(url: str) -> UUID:
    """The id of a link as typed. Every service derives the same one without asking."""
    return uuid5(NAMESPACE_URL, url)


class UnfurlResolve(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "unfurl.resolve.v1"
    KEY: ClassVar[str] = "link_id"

    link_id: UUID
    url: str


class ArtistName(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    url: str | None = None


class Artwork(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    width_pixels: int | None = None
    height_pixels: int | None = None


class TrackCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client shows for a link. Absent means unknown: a guess is a defect."""

    track_id: UUID
    provider: str
    kind: str
    canonical_url: str
    status: CardStatus
    provider_id: str | None = None
    title: str | None = None
    artists: list[ArtistName] = []
    album: str | None = None
    artwork: list[Artwork] = []
    duration_ms: int | None = None
    isrc: str | None = None
    release_date: str | None = None
    embed_url: str | None = None


class TrackResolved(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "unfurl.track.resolved.v1"
    KEY: ClassVar[str] = "link_id"

    link_id: UUID
    url: str
    card: TrackCard
    card_version: int
    """Rises when the same track is known better; consumers drop what is older."""
    resolved_at: Timestamp


class LinkUnresolvable(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "unfurl.link.unresolvable.v1"
    KEY: ClassVar[str] = "link_id"

    link_id: UUID
    url: str
    reason_code: UnresolvableReason
    retryable: bool


class TrackState(State, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "track.v1"
    KEY: ClassVar[str] = "track_id"

    track_id: UUID
    card: TrackCard


class RankedTrack(msgspec.Struct, frozen=True, kw_only=True):
    track_id: UUID
    score: float
    rank: int


class ChartsUpdated(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "charts.top.updated.v1"
    KEY: ClassVar[str] = "window"

    window: Literal["week"]
    entries: list[RankedTrack]
    generated_at: Timestamp
