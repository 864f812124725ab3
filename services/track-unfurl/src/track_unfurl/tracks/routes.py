"""HTTP of tracks. A link asked for the first time is answered in time or honestly in part."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery
from seda_contracts.events.unfurl import TrackCard
from seda_db import Database
from seda_identity import Policy, Role

from track_unfurl.settings import Settings
from track_unfurl.tables import TrackRef
from track_unfurl.tracks import operations
from track_unfurl.tracks.cards import card_of
from track_unfurl.tracks.domain import RefusedUrl, TrackNotFound
from track_unfurl.tracks.resolution import Resolving, unfurl


class Track(TrackCard, frozen=True, kw_only=True, omit_defaults=True):
    """A card with its provenance: which source said what, when it was read, when it ages."""

    card_version: int
    sources: dict[str, str]
    fetched_at: datetime | None
    expires_at: datetime


class TrackRoutes(Controller):
    path = "/api/v1/tracks"
    tags = ("tracks",)

    @get(
        "/unfurl",
        operation_id="UnfurlLink",
        policy=Policy("track:unfurl", role=Role.ANYONE, limit="unfurl"),
        responses={202: ResponseSpec(Track, description="Known in part; an event follows.")},
    )
    async def unfurl_link(
        self,
        url: FromQuery[str],
        resolving: NamedDependency[Resolving],
        settings: NamedDependency[Settings],
    ) -> Response[Track]:
        """200 with what is known; 202 with provider, id and player while the rest is fetched."""
        found = await unfurl(resolving, url, budget_seconds=settings.unfurl_budget_ms / 1000)
        if found.track.status == "not_found":
            raise TrackNotFound
        if found.track.status == "refused":
            raise RefusedUrl
        return Response(track_answer(found.track), status_code=200 if found.is_final else 202)

    @get(
        "/{track_id:uuid}",
        operation_id="GetTrack",
        policy=Policy("track:read", role=Role.ANYONE),
    )
    async def get_track(self, track_id: FromPath[UUID], db: NamedDependency[Database]) -> Track:
        async with db.read() as tx:
            return track_answer(await operations.find_track(tx, track_id))


def track_answer(track: TrackRef) -> Track:
    return Track(
        **msgspec.structs.asdict(card_of(track)),
        card_version=track.card_version,
        sources=track.sources,
        fetched_at=track.fetched_at,
        expires_at=track.expires_at,
    )
