"""Asking an entry's sources through the guard, hedged, within one deadline."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import can_ada
from seda_fetch import Fetched, Fetcher, FetchError, Refused
from seda_runtime.telemetry import histogram, span

from track_unfurl.links.canonical import Canonical
from track_unfurl.metadata.reading import Reading, Verdict, merge
from track_unfurl.tracks.domain import Outcome, judge, knows_enough
from track_unfurl.tracks.hosts import HostPaused, Hosts
from track_unfurl.tracks.sources import Ask, discovered, plan

HEDGE_SECONDS = 0.08
"""How long the first source may keep us waiting before the second is asked beside it."""
RETRY_AFTER_SECONDS_DEFAULT = 30

_fetch_seconds = histogram("unfurl_fetch_seconds", "Time to read one catalogue entry")
_VERDICT_BY_STATUS: dict[int, Verdict] = {
    401: "blocked",
    403: "blocked",
    404: "not_found",
    410: "not_found",
    429: "busy",
    451: "blocked",
}


@dataclass(slots=True)
class _Progress:
    """What is known so far. It outlives the deadline: half an answer is an answer."""

    kind: str
    readings: dict[int, tuple[Reading, ...]] = field(default_factory=dict)
    unreachable: bool = False
    refused: bool = False
    retry_after_seconds: int | None = None

    def in_order_of_trust(self) -> list[Reading]:
        return [reading for place in sorted(self.readings) for reading in self.readings[place]]

    def is_enough(self) -> bool:
        found = [reading for reading in self.in_order_of_trust() if reading.verdict == "found"]
        return knows_enough(merge(found), self.kind)


async def read_sources(
    fetcher: Fetcher, hosts: Hosts, entry: Canonical, *, budget_seconds: float
) -> Outcome:
    """Never raises for what a provider does; what was learnt before the deadline counts."""
    progress = _Progress(kind=entry.kind)
    started = asyncio.get_running_loop().time()
    with span("unfurl.read", headers=None) as current, suppress(TimeoutError):
        current.set_attribute("unfurl.provider", entry.provider)
        async with asyncio.timeout(budget_seconds):
            await _ask_hedged(fetcher, hosts, entry, progress, budget_seconds)
    _fetch_seconds.record(asyncio.get_running_loop().time() - started, {"provider": entry.provider})
    readings = progress.in_order_of_trust()
    if progress.refused and not readings:
        return Outcome(status="refused")
    # A deadline that passed with nothing read is a provider that could not be reached; one that
    # has no source to ask is merely partial.
    silent = not readings and bool(plan(entry))
    outcome = judge(readings, kind=entry.kind, unreachable=progress.unreachable or silent)
    if outcome.status == "busy":
        return Outcome(status="busy", retry_after_seconds=progress.retry_after_seconds)
    return outcome


async def _ask_hedged(
    fetcher: Fetcher, hosts: Hosts, entry: Canonical, progress: _Progress, budget_seconds: float
) -> None:
    """The next source starts when the ones before are slow or leave something out."""
    waiting = list(enumerate(plan(entry)))
    flying: set[asyncio.Task[str | None]] = set()
    try:
        while waiting or flying:
            if waiting:
                place, ask = waiting.pop(0)
                work = _ask(fetcher, hosts, ask, progress, place, budget_seconds)
                flying.add(asyncio.create_task(work))
            landed, flying = await asyncio.wait(
                flying,
                timeout=HEDGE_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            followed = [url for task in landed if (url := task.result())]
            if progress.is_enough():
                return
            waiting += [(len(plan(entry)), discovered(url, entry.provider)) for url in followed]
    finally:
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)


async def _ask(
    fetcher: Fetcher,
    hosts: Hosts,
    ask: Ask,
    progress: _Progress,
    place: int,
    budget_seconds: float,
) -> str | None:
    """Adds what one source says. Returns the address of one more source, if it names one."""
    host = can_ada.parse(ask.url).hostname if can_ada.can_parse(ask.url) else ""
    try:
        async with hosts.place(host):
            fetched = await fetcher.get(
                ask.url, accept=ask.accept, deadline_seconds=budget_seconds, truncate=True
            )
    except HostPaused:
        progress.unreachable = True
        return None
    except Refused:
        progress.refused = True
        return None
    except FetchError:
        hosts.failed(host)
        progress.unreachable = True
        return None
    return _take(ask, fetched, hosts, host, progress, place)


def _take(
    ask: Ask, fetched: Fetched, hosts: Hosts, host: str, progress: _Progress, place: int
) -> str | None:
    status = fetched.status_code
    if status >= 500:
        hosts.failed(host)
        progress.unreachable = True
        return None
    hosts.succeeded(host)
    if status == 429:
        progress.retry_after_seconds = _retry_after_seconds(fetched)
        hosts.pause(host, progress.retry_after_seconds)
    if status != 200:
        verdict = _VERDICT_BY_STATUS.get(status, "unreadable")
        progress.readings[place] = (Reading(source=f"http_{status}", verdict=verdict),)
        return None
    progress.readings[place] = ask.read(fetched)
    return ask.follow(fetched)


def _retry_after_seconds(fetched: Fetched) -> int:
    """Seconds only: a date would trust the other side's clock. Clamped to an hour."""
    given = fetched.headers.get("retry-after", "")
    seconds = int(given) if given.isascii() and given.isdigit() and len(given) < 8 else None
    return min(max(seconds or RETRY_AFTER_SECONDS_DEFAULT, 1), 3_600)
