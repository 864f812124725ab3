"""From a pasted link to the best answer that fits the time: cache, stale copy, fetch, or honesty.

Transactions here are short and never held across a fetch. In one process an entry is fetched once
however many ask; across processes a short lease on its row does the same.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from seda_contracts.events.unfurl import link_id
from seda_db import Database
from seda_fetch import Fetcher, FetchError, Refused, parse_url
from seda_runtime.telemetry import counter

from track_unfurl.links.canonical import Canonical
from track_unfurl.links.domain import UnsupportedUrl, canonicalise, read_link
from track_unfurl.tables import TrackRef
from track_unfurl.tracks import operations, store
from track_unfurl.tracks.domain import LinkUnreachable, RefusedUrl
from track_unfurl.tracks.flights import Flights
from track_unfurl.tracks.hosts import Hosts
from track_unfurl.tracks.operations import Tracks
from track_unfurl.tracks.reading_sources import read_sources
from track_unfurl.tracks.recent import Recent

LEASE_POLL_SECONDS = 0.05
STORED_LINK_LENGTH_MAX = 2_048

_answers = counter("unfurl_answers", "Unfurl answers by how they were found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolving:
    """Long-lived parts. `fetch_seconds` is what one fetch may take, whoever still waits for it."""

    db: Database
    tracks: Tracks
    fetcher: Fetcher
    hosts: Hosts
    recent: Recent
    refreshes: Flights[TrackRef]
    hops: Flights[Canonical]
    fetch_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfurled:
    """`is_final` is False when a fetch goes on and an event will follow."""

    track: TrackRef
    is_final: bool


async def unfurl(
    resolving: Resolving, text: str, *, budget_seconds: float, tell_later: bool = True
) -> Unfurled:
    """Raises InvalidUrl, UnsupportedUrl, RefusedUrl or LinkUnreachable; a provider that is away
    or a track that is gone is an answer, told by the track's status.

    With `tell_later` this spelling of an unknown entry hears of it by event, too; whoever answers
    the link by an event of their own does not want it.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_seconds
    entry = read_link(text)
    if entry.is_short_link:
        entry = await _hop(resolving, entry, budget_seconds)
    now = resolving.tracks.now()
    if (track := resolving.recent.get(entry.key, now)) is not None:
        return _answer("memory", track)
    async with resolving.db.read() as tx:
        known = await store.track_of_entry(tx, entry.provider, entry.provider_id)
    if known is not None and known.status != "pending" and now < known.expires_at:
        resolving.recent.put(entry.key, known, now)
        return _answer("fresh", known)
    told = text if tell_later and len(text) <= STORED_LINK_LENGTH_MAX else None
    track = known or await _begin_track(resolving, entry, told)
    refresh = resolving.refreshes.start(entry.key, lambda: _refresh(resolving, entry, track))
    if track.fields and track.status != "not_found" and now < track.stale_until:
        return _answer("stale", track)
    refreshed = await resolving.refreshes.wait(refresh, max(deadline - loop.time(), 0))
    if refreshed is None:
        return _answer("pending", track, is_final=False)
    return _answer("fetched", refreshed)


def _answer(how: str, track: TrackRef, *, is_final: bool = True) -> Unfurled:
    _answers.add(1, {"how": how, "provider": track.provider, "status": track.status})
    return Unfurled(track=track, is_final=is_final)


async def _begin_track(resolving: Resolving, entry: Canonical, told: str | None) -> TrackRef:
    """A row for an entry never seen; the spelling `told` hears of it when it is resolved."""
    _check_allowed(entry.canonical_url)
    async with resolving.db.begin() as tx:
        track = await operations.ensure_track(tx, resolving.tracks, entry)
        if told is not None:
            await operations.attach_link(tx, resolving.tracks, told, track)
    return track


def _check_allowed(url: str) -> None:
    """Addresses refused by their text alone leave no row behind. Raises RefusedUrl."""
    try:
        parse_url(url)
    except Refused as error:
        raise RefusedUrl from error


async def _refresh(resolving: Resolving, entry: Canonical, track: TrackRef) -> TrackRef:
    """Fetch and store, or wait for the process that does."""
    now = resolving.tracks.now()
    # Twice the fetch leaves room for the two transactions around it.
    until = now + timedelta(seconds=resolving.fetch_seconds * 2)
    async with resolving.db.begin() as tx:
        leased = await store.lease_track(tx, track.id, now=now, until=until)
    if not leased:
        return await _wait_for_other(resolving, track)
    outcome = await read_sources(
        resolving.fetcher, resolving.hosts, entry, budget_seconds=resolving.fetch_seconds
    )
    async with resolving.db.begin() as tx:
        refreshed = await operations.record_outcome(tx, resolving.tracks, track.id, outcome)
    resolving.recent.put(entry.key, refreshed, now)
    return refreshed


async def _wait_for_other(resolving: Resolving, track: TrackRef) -> TrackRef:
    """Somebody else has fetched or is fetching: their result, or what is known if it takes long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + resolving.fetch_seconds
    while loop.time() < deadline:
        async with resolving.db.read() as tx:
            current = await store.track_by_id(tx, track.id)
        if current is not None and current.leased_until is None:
            return current
        await asyncio.sleep(LEASE_POLL_SECONDS)
    return track


async def _hop(resolving: Resolving, short: Canonical, budget_seconds: float) -> Canonical:
    """The entry behind a short link. Raises LinkUnreachable, RefusedUrl or UnsupportedUrl."""
    async with resolving.db.read() as tx:
        link = await store.link_by_id(tx, link_id(short.canonical_url))
        track = await store.track_by_id(tx, link.track_id) if link else None
    if link and track and link.expires_at and resolving.tracks.now() < link.expires_at:
        return read_link(track.url)
    flight = resolving.hops.start(short.key, lambda: _follow(resolving, short))
    entry = await resolving.hops.wait(flight, budget_seconds)
    if entry is None:
        raise LinkUnreachable
    return entry


async def _follow(resolving: Resolving, short: Canonical) -> Canonical:
    """Every hop is guarded, and the place it leads to must belong to the same provider."""
    failure: FetchError | None = None
    try:
        fetched = await resolving.fetcher.get(
            short.canonical_url, deadline_seconds=resolving.fetch_seconds, truncate=True
        )
        visited = fetched.redirect_urls
    except FetchError as error:
        # The provider's page may be unreachable for us although the hop has told its address.
        failure, visited = error, error.redirect_urls
    for url in visited:
        entry = canonicalise(url)
        if entry and entry.provider == short.provider and not entry.is_short_link:
            async with resolving.db.begin() as tx:
                track = await operations.ensure_track(tx, resolving.tracks, entry)
                await operations.attach_link(
                    tx, resolving.tracks, short.canonical_url, track, is_short=True
                )
            return entry
    if isinstance(failure, Refused):
        raise RefusedUrl
    if failure is not None:
        raise LinkUnreachable
    raise UnsupportedUrl
