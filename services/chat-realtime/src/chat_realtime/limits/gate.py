"""The rates of this process: what one person sends, what is sent into one room, who types in it.

A person's sockets and HTTP calls count together. The rates are a process's own, and nothing of
them is kept: they protect it from a flood, and slow mode is what shapes a conversation.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from chat_realtime.limits.domain import Meter, Rate, RateLimited


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRates:
    person_messages: Rate
    room_messages: Rate
    room_typing: Rate


class Gate:
    def __init__(self, rates: GateRates, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._person_messages = Meter(rates.person_messages)
        self._room_messages = Meter(rates.room_messages)
        self._room_typing = Meter(rates.room_typing)

    def take_person_message(self, user_id: UUID) -> None:
        """Raises RateLimited."""
        now = self._now()
        wait = self._person_messages.wait_seconds(user_id, now=now)
        if wait:
            raise RateLimited(wait)
        self._person_messages.count(user_id, now=now)

    def room_wait_seconds(self, room_id: UUID) -> float:
        return self._room_messages.wait_seconds(room_id, now=self._now())

    def count_room_message(self, room_id: UUID) -> None:
        self._room_messages.count(room_id, now=self._now())

    def take_typing(self, room_id: UUID) -> bool:
        """False for a hint that is to vanish."""
        now = self._now()
        if self._room_typing.wait_seconds(room_id, now=now):
            return False
        self._room_typing.count(room_id, now=now)
        return True
