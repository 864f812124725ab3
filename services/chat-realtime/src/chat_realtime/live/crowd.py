"""How many sockets one person has over all processes, asked whenever one more is opened.

The process that let the socket in asks the others, waits a moment for their answers and says which
of all are the oldest above the limit; whoever has them closes them. Nothing is kept between two
questions: a process that died has no say, and a word that was lost is made up for by the next
socket. For the length of a question a person may have more sockets than allowed.
"""

import asyncio
from collections.abc import Callable, Collection
from uuid import UUID

import msgspec
from seda_contracts.live import user_subject
from seda_runtime.ids import uuid7

from chat_realtime.live.domain import SocketsAsked, SocketsHere, SocketsSurplus
from chat_realtime.signals import Signals

ANSWER_SECONDS = 0.5

Ids = Callable[[UUID], Collection[UUID]]
"""The sockets of a person here. Their ids are of the order in which they were opened."""
CloseThem = Callable[[UUID, Collection[UUID]], None]


class Crowd:
    """Call `opened` for every socket somebody was let in on, `hear` for what others say."""

    def __init__(
        self, signals: Signals, ids: Ids, close_them: CloseThem, *, sockets_max: int
    ) -> None:
        self._signals = signals
        self._ids = ids
        self._close_them = close_them
        self._sockets_max = sockets_max
        self._node = uuid7()
        self._elsewhere: dict[UUID, set[UUID]] = {}
        """What has been answered so far, by the person asked about."""
        self._again: set[UUID] = set()

    def opened(self, user_id: UUID) -> None:
        if user_id in self._elsewhere:
            # Those who were asked may have let others in since: ask them once more afterwards.
            self._again.add(user_id)
            return
        self._elsewhere[user_id] = set()
        self._say(SocketsAsked(user_id=user_id, node=self._node))
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._settle, user_id)

    def hear(self, notice: SocketsAsked | SocketsHere | SocketsSurplus) -> None:
        match notice:
            case SocketsAsked(user_id=user_id, node=node) if node != self._node:
                here = self._ids(user_id)
                if here:
                    self._say(SocketsHere(user_id=user_id, node=node, ids=list(here)))
            case SocketsHere(user_id=user_id, node=node, ids=ids) if node == self._node:
                if user_id in self._elsewhere:
                    self._elsewhere[user_id].update(ids)
            case SocketsSurplus(user_id=user_id, ids=ids):
                self._close_them(user_id, ids)

    def _settle(self, user_id: UUID) -> None:
        all_of_them = sorted(self._elsewhere.pop(user_id) | set(self._ids(user_id)))
        surplus = all_of_them[: -self._sockets_max]
        if surplus:
            self._say(SocketsSurplus(user_id=user_id, ids=surplus))
        if user_id in self._again:
            self._again.discard(user_id)
            self.opened(user_id)

    def _say(self, notice: SocketsAsked | SocketsHere | SocketsSurplus) -> None:
        self._signals.publish(user_subject(notice.user_id), msgspec.json.encode(notice))
