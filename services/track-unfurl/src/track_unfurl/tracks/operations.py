"""What happens to tracks and links, each inside the caller's transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from seda_contracts.events.unfurl import (
    LinkUnresolvable,
    TrackResolved,
    TrackState,
    UnresolvableReason,
    link_id,
)
from seda_messaging import Outbox
from seda_runtime.clock import Clock
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from track_unfurl.links.canonical import Canonical
from track_unfurl.tables import Link, TrackRef
from track_unfurl.tracks import store
from track_unfurl.tracks.cards import card_of, known_of, stored
from track_unfurl.tracks.domain import Outcome, TrackNotFound, lifetime, succeeding

LINKS_TOLD_MAX = 100
"""Spellings of one track that hear of a better card; older ones learn it when they are asked."""
SHORT_LINK_FRESH = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """Collaborators. `jitter` gives 0..1."""

    outbox: Outbox
    now: Clock
    jitter: Callable[[], float]


async def find_track(tx: AsyncSession, track_id: UUID) -> TrackRef:
    track = await store.track_by_id(tx, track_id)
    if track is None or track.status == "not_found":
        raise TrackNotFound
    return track


async def ensure_track(tx: AsyncSession, tracks: Tracks, entry: Canonical) -> TrackRef:
    """The entry's row, new or old. A new one has already expired: nothing is known of it."""
    now = tracks.now()
    await store.add_track(
        tx,
        {
            "id": uuid7(),
            "provider": entry.provider,
            "provider_id": entry.provider_id,
            "kind": entry.kind,
            "url": entry.canonical_url,
            "embed_url": entry.embed_url,
            "status": "pending",
            "fields": {},
            "sources": {},
            "card_version": 1,
            "failures": 0,
            "created_at": now,
            "expires_at": now,
            "stale_until": now,
        },
    )
    track = await store.track_of_entry(tx, entry.provider, entry.provider_id)
    assert track is not None
    return track


async def attach_link(
    tx: AsyncSession, tracks: Tracks, url: str, track: TrackRef, *, is_short: bool = False
) -> None:
    now = tracks.now()
    await store.put_link(
        tx,
        {
            "link_id": link_id(url),
            "url": url,
            "track_id": track.id,
            "created_at": now,
            "expires_at": now + SHORT_LINK_FRESH if is_short else None,
        },
    )


async def record_outcome(
    tx: AsyncSession, tracks: Tracks, track_id: UUID, outcome: Outcome
) -> TrackRef:
    """Keeps the better of old and new, and tells every known link when the card has changed."""
    track = await store.lock_track(tx, track_id)
    now, before = tracks.now(), known_of(track)
    known = succeeding(before, outcome, kind=track.kind)
    life = lifetime(
        outcome, provider=track.provider, failures=track.failures, jitter=tracks.jitter()
    )
    track.status = outcome.status
    track.fields, track.sources = stored(known)
    track.failures = 0 if outcome.status in {"ok", "partial"} else track.failures + 1
    track.fetched_at, track.leased_until = now, None
    track.expires_at = now + life.fresh
    if life.stale:
        track.stale_until = now + life.fresh + life.stale
    if known != before:
        track.card_version += 1
        await _tell_all_links(tx, tracks, track)
    await tx.flush()
    return track


async def settle_link(
    tx: AsyncSession,
    tracks: Tracks,
    url: str,
    answer: TrackRef | UnresolvableReason,
) -> None:
    """Answers whoever asked for this link: a card, or why there is none."""
    if isinstance(answer, TrackRef):
        await attach_link(tx, tracks, url, answer)
        reason = unresolvable_reason(answer)
        if reason is None:
            await tracks.outbox.add(tx, _resolved(tracks, url, answer))
            return
    else:
        reason = answer
    await tracks.outbox.add(
        tx,
        LinkUnresolvable(
            link_id=link_id(url),
            url=url,
            reason_code=reason,
            retryable=reason in {"unreachable", "blocked"},
        ),
    )


def unresolvable_reason(track: TrackRef) -> UnresolvableReason | None:
    """None when a card is worth showing: it has a title, or at least a provider and an id."""
    if track.status == "not_found":
        return "not_found"
    if track.status == "refused":
        return "refused"
    if track.fields.get("title") or track.provider != "generic":
        return None
    return "blocked" if track.status == "blocked" else "unreachable"


async def _tell_all_links(tx: AsyncSession, tracks: Tracks, track: TrackRef) -> None:
    await tracks.outbox.add(
        tx, TrackState(track_id=track.id, card=card_of(track), version=track.card_version)
    )
    links: list[Link] = await store.links_of_track(tx, track.id, count_max=LINKS_TOLD_MAX)
    for link in links:
        await tracks.outbox.add(tx, _resolved(tracks, link.url, track))


def _resolved(tracks: Tracks, url: str, track: TrackRef) -> TrackResolved:
    return TrackResolved(
        link_id=link_id(url),
        url=url,
        card=card_of(track),
        card_version=track.card_version,
        resolved_at=tracks.now(),
    )
