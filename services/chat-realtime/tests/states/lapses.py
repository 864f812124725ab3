"""Clients with one lapse each. Every one of them has to show in the stories that are told: else
these have too little to tell to find it in the real one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from seda_client import RoomState
from seda_client.room_state import Item


class TakesPagesBack(RoomState):
    """What happened before a page was read happens to what the page says."""

    def _happen(self, frame: Mapping[str, Any]) -> None:
        for message in self._messages.values():
            message.as_of = -1
        super()._happen(frame)


class BelievesOldPages(RoomState):
    """A page that arrives late takes back what was heard since it was read."""

    def _load(self, items: Iterable[Item], as_of: int) -> None:
        page = list(items)
        super()._load(page, as_of)
        for told in page:
            message = self._messages[told["id"]]
            message.item = {name: told.get(name, value) for name, value in message.item.items()}


class CountsTwice(RoomState):
    """A reply that a page has counted is counted again."""

    def _happen(self, frame: Mapping[str, Any]) -> None:
        for message in self._messages.values():
            if message.thread is not None:
                message.thread.as_of = -1
        super()._happen(frame)


class ForgetsWhatHappenedSince(RoomState):
    """A page that was read a while ago is believed."""

    def _happen_again(self, page: Mapping[str, Any]) -> None:
        pass


class ForgetsMutes(RoomState):
    """Who comes back is not muted any more."""

    def _come_or_go(self, frame: Mapping[str, Any]) -> None:
        super()._come_or_go({**frame, "d": {**frame["d"], "muted_until": None}})


LAPSES = (TakesPagesBack, BelievesOldPages, CountsTwice, ForgetsWhatHappenedSince, ForgetsMutes)
