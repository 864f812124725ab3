"""Who is in a room now, put together from what each process says of its own sockets. Pure.

A process says the whole of what it knows of a room, with a rising `rev`, so the newest word stands
for itself and a lost one is mended by the next. A process that was not heard for its lease is taken
for dead, and all its people leave in one step.
"""

from collections.abc import Iterable, Mapping
from typing import Literal
from uuid import UUID

import msgspec
from seda_contracts.realtime import PresenceState, PresenceStatus, Present

LISTED_MAX = 100
"""People of a room told by name. A fuller one tells their number and a sample."""
SAMPLE_MAX = 20
CHANGES_TOLD_MAX = 8
"""Changes told one by one; more at once are told as the new whole."""

DeviceStatus = Literal["online", "idle", "invisible"]


class Here(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="here"):
    """What one process says of one room. `people` holds all of them unless `count` says more."""

    node: UUID
    rev: int
    count: int
    people: dict[UUID, PresenceStatus]

    @property
    def is_whole(self) -> bool:
        return len(self.people) == self.count


class Who(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="who"):
    """A process that has begun to follow a room asks the others what they know."""

    node: UUID


class NodeLives(msgspec.Struct, frozen=True, kw_only=True):
    """The lease of a process, renewed."""

    node: UUID


Word = Here | Who


def here(node: UUID, rev: int, devices: Iterable[tuple[UUID, DeviceStatus]]) -> Here:
    """One process's word: a person is there when one of their devices is, idle when all are."""
    people: dict[UUID, PresenceStatus] = {}
    for user_id, status in devices:
        if status == "online" or (status == "idle" and user_id not in people):
            people[user_id] = status
    told = people if len(people) <= LISTED_MAX else _sample(people)
    return Here(node=node, rev=rev, count=len(people), people=told)


class RoomPresence:
    """One room as one process knows it, and what it last showed its sockets."""

    __slots__ = ("_words", "rev", "shown")

    def __init__(self) -> None:
        self._words: dict[UUID, Here] = {}
        self.shown = PresenceState(count=0, people=[], whole=True, complete=True)
        """What the sockets were told, as a whole."""
        self.rev = 0
        """Of what is shown; a client drops what is older than what it has."""

    def hear(self, word: Here) -> bool:
        """False for a word that is older than one heard before."""
        earlier = self._words.get(word.node)
        if earlier is not None and earlier.rev >= word.rev:
            return False
        self._words[word.node] = word
        return True

    def forget(self, nodes: Iterable[UUID]) -> bool:
        """Processes that died. False when none of them had anybody here."""
        gone = [self._words.pop(node, None) for node in nodes]
        return any(word is not None and word.count for word in gone)

    def has_people_of(self, node: UUID) -> bool:
        return node in self._words and self._words[node].count > 0

    def whole(self) -> PresenceState:
        """Everybody, or how many and a sample."""
        people: dict[UUID, PresenceStatus] = {}
        for word in self._words.values():
            for user_id, status in word.people.items():
                if people.get(user_id) != "online":
                    people[user_id] = status
        is_complete = len(people) <= LISTED_MAX and all(w.is_whole for w in self._words.values())
        # Somebody with devices on two processes counts twice where not everybody is named.
        count = len(people) if is_complete else sum(w.count for w in self._words.values())
        listed = people if is_complete else _sample(people)
        return PresenceState(
            count=count,
            people=[Present(user_id, status) for user_id, status in sorted(listed.items())],
            whole=True,
            complete=is_complete,
        )

    def show(self) -> list[PresenceState]:
        """What has changed since it was last shown; nothing when nothing has."""
        before, now = self.shown, self.whole()
        if now == before:
            return []
        self.shown = now
        if not (before.complete and now.complete):
            return [now]
        changes = _changes(before, now)
        if len(changes) > CHANGES_TOLD_MAX:
            return [now]
        return [
            PresenceState(count=now.count, people=[change], whole=False, complete=True)
            for change in changes
        ]


def _changes(before: PresenceState, now: PresenceState) -> list[Present]:
    old = {each.user_id: each for each in before.people}
    new = {each.user_id: each for each in now.people}
    came = [each for user_id, each in new.items() if old.get(user_id) != each]
    went = [Present(user_id, "offline") for user_id in old if user_id not in new]
    return came + went


def _sample(people: Mapping[UUID, PresenceStatus]) -> dict[UUID, PresenceStatus]:
    return {user_id: people[user_id] for user_id in sorted(people)[:SAMPLE_MAX]}
