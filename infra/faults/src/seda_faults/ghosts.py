"""People whose process is killed under them and who do not come back: how long are they shown?"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from seda_messaging.cancellation import still_wanted
from seda_testkit.client import Api, LiveSocket
from seda_testkit.eventually import eventually

from seda_faults.checker import GHOST_SECONDS_MAX
from seda_faults.listening import LOST
from seda_faults.load import Crowd

LOOK_SECONDS = 0.5
BEFORE_SECONDS_MAX = 10.0
ENOUGH_LOOKS_SECONDS = 1.5


class Ghost:
    """One socket in one room, for as long as its process lives."""

    def __init__(self, name: str, api: Api, room: str, url: str) -> None:
        self.name = name
        self.user_id = api.user_id
        self.room = room
        self.gone_at: float | None = None
        self._api = api
        self._url = url

    @classmethod
    async def join(cls, crowd: Crowd, process: int) -> Self:
        name = f"ghost{process}"
        room = crowd.rooms[0]
        return cls(name, await crowd.let_in(name, room), room, crowd.socket_urls[process])

    async def live(self) -> None:
        """Until the socket breaks, and never again."""
        with suppress(*LOST):
            ticket = await self._api.ticket()
            async with LiveSocket.open(self._url, ticket=ticket.ticket) as socket:
                await socket.subscribe(self.room)
                frames = 0
                while still_wanted():
                    await socket.nth(frames)
                    frames += 1
        self.gone_at = time.monotonic()


async def until_shown(crowd: Crowd, ghosts: Sequence[Ghost]) -> None:
    """Everybody sees them, or their going would say nothing."""

    def shown() -> bool:
        return all(
            ghost.user_id in person.second.shows(ghost.room)
            for ghost in ghosts
            for person in crowd.people
            if person.second is not None
        )

    await eventually(shown, timeout_seconds=BEFORE_SECONDS_MAX, poll_seconds=0.1)


async def look_for(crowd: Crowd, ghosts: Sequence[Ghost]) -> None:
    """Note who is still shown and to whom, until cancelled."""
    await asyncio.gather(_look_at_sockets(crowd, ghosts), _look_over_http(crowd, ghosts))


async def _look_at_sockets(crowd: Crowd, ghosts: Sequence[Ghost]) -> None:
    while still_wanted():
        await asyncio.sleep(LOOK_SECONDS)
        for ghost in ghosts:
            for person in crowd.people:
                if person.second is not None and ghost.user_id in person.second.shows(ghost.room):
                    _note(crowd, ghost, f"{person.name}'s second device")


async def _look_over_http(crowd: Crowd, ghosts: Sequence[Ghost]) -> None:
    while still_wanted():
        await asyncio.sleep(LOOK_SECONDS)
        for ghost in ghosts:
            with suppress(*LOST):
                path = f"/chat/rooms/{ghost.room}/presence"
                asked_at = time.monotonic()
                state = await crowd.people[0].api.get(path)
                if ghost.user_id in {each["user_id"] for each in state["people"]}:
                    _note(crowd, ghost, "GET presence", at=asked_at)


async def until_long_gone(ghosts: Sequence[Ghost]) -> None:
    """Nobody can be shown too long before that much time has passed."""
    for ghost in ghosts:
        if ghost.gone_at is not None:
            over_at = ghost.gone_at + GHOST_SECONDS_MAX + ENOUGH_LOOKS_SECONDS
            await asyncio.sleep(max(0.0, over_at - time.monotonic()))


def _note(crowd: Crowd, ghost: Ghost, viewer: str, *, at: float | None = None) -> None:
    """An answer that was long under way says nothing of later than when it was asked for."""
    seen_at = at or time.monotonic()
    if ghost.gone_at is not None and seen_at > ghost.gone_at:
        crowd.history.show(ghost.name, viewer, after_seconds=seen_at - ghost.gone_at)
