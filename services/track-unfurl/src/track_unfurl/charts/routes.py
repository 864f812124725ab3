"""HTTP of the ranking."""

from datetime import datetime

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from seda_contracts.events.unfurl import TrackCard
from seda_identity import Policy, Role

from track_unfurl.charts.domain import WINDOW
from track_unfurl.charts.popular import PopularChart

MAX_AGE_SECONDS = 300
"""A promise to caches outside. How often we compute anew is a setting, and may be shorter."""


class PopularTrack(msgspec.Struct, frozen=True, kw_only=True):
    rank: int
    score: float
    track: TrackCard


class PopularTracks(msgspec.Struct, frozen=True, kw_only=True):
    window: str
    generated_at: datetime
    items: list[PopularTrack]
    next_cursor: str | None = None


class ChartRoutes(Controller):
    path = "/api/v1/tracks"
    tags = ("tracks",)

    @get(
        "/popular",
        operation_id="ListPopularTracks",
        policy=Policy("track:read", role=Role.ANYONE),
    )
    async def list_popular_tracks(
        self, popular: NamedDependency[PopularChart]
    ) -> Response[PopularTracks]:
        """The same for everyone, so any cache on the way may keep it."""
        chart = await popular.get()
        body = PopularTracks(
            window=WINDOW,
            generated_at=chart.generated_at,
            items=[
                PopularTrack(rank=entry.rank, score=entry.score, track=entry.card)
                for entry in chart.entries
            ],
        )
        return Response(body, headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"})
