"""Clients with one lapse each. Every one of them has to show in the stories that are told: else
these have too little to tell to find it in the real one.
"""

from collections.abc import Mapping
from typing import Any

from seda_client import RoomState


class TakesPagesBack(RoomState):
    """What happened before a page was read happens to what the page says."""

    def _happen(self, frame: Mapping[str, Any]) -> None:
        for message in self._messages.values():
            message.as_of = -1
        super()._happen(frame)


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


LAPSES = (TakesPagesBack, CountsTwice, ForgetsWhatHappenedSince, ForgetsMutes)
