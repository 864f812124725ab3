"""Between what we keep of a track and what others are shown of it."""

from typing import Any

import msgspec
from seda_contracts.events.unfurl import ArtistName, Artwork, CardStatus, TrackCard

from track_unfurl.metadata.reading import Merged
from track_unfurl.tables import TrackRef
from track_unfurl.tracks.domain import is_complete


def card_of(track: TrackRef) -> TrackCard:
    """Absent stays absent. A card without a title still names provider, id and player."""
    known = known_of(track)
    return TrackCard(
        track_id=track.id,
        provider=track.provider,
        kind=track.kind,
        canonical_url=track.url,
        status=card_status(track),
        provider_id=track.provider_id,
        title=known.title,
        artists=[ArtistName(name=name) for name in known.artists],
        album=known.album,
        artwork=[
            Artwork(
                url=picture.url,
                width_pixels=picture.width_pixels,
                height_pixels=picture.height_pixels,
            )
            for picture in known.artwork
        ],
        duration_ms=known.duration_ms,
        isrc=known.isrc,
        release_date=known.release_date,
        embed_url=track.embed_url,
    )


def card_status(track: TrackRef) -> CardStatus:
    """Of what is known, not of the last attempt: an outage does not make a good card worse."""
    return "ok" if is_complete(known_of(track), track.kind) else "partial"


def known_of(track: TrackRef) -> Merged:
    return msgspec.convert(
        {**track.fields, "sources": tuple(track.sources.items())}, Merged, strict=False
    )


def stored(known: Merged) -> tuple[dict[str, Any], dict[str, str]]:
    """The two JSON columns: fields without their empty ones, and where each came from."""
    values = msgspec.to_builtins(known)
    values.pop("sources")
    return {name: value for name, value in values.items() if value}, dict(known.sources)
