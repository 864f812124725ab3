"""Tracks answered a moment ago, kept in memory so that a popular link costs no query."""

from collections import OrderedDict
from datetime import datetime, timedelta

from track_unfurl.tables import TrackRef

ENTRIES_MAX = 10_000
KEPT = timedelta(seconds=60)
"""Short, because another process may learn more about a track meanwhile."""


class Recent:
    """Bounded; holds only complete tracks, and none beyond its own expiry."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[datetime, TrackRef]] = OrderedDict()

    def get(self, key: str, now: datetime) -> TrackRef | None:
        found = self._kept.get(key)
        if found is None:
            return None
        until, track = found
        if now < until:
            return track
        del self._kept[key]
        return None

    def put(self, key: str, track: TrackRef, now: datetime) -> None:
        if track.status != "ok":
            self._kept.pop(key, None)
            return
        self._kept[key] = (min(now + KEPT, track.expires_at), track)
        self._kept.move_to_end(key)
        while len(self._kept) > ENTRIES_MAX:
            self._kept.popitem(last=False)
