"""A second device of a person, with the reference client: it comes back and resumes by itself."""

import asyncio
from uuid import UUID

from seda_client import Client, Connected, Happened, Options, SnapshotNeeded, Ticket, connect
from seda_contracts.realtime import Cursor
from seda_testkit.client import Api

from seda_faults.listening import LOST, RECONNECT_SECONDS, read_log

OPTIONS = Options(time_scale=0.2)
"""A run is short: nobody waits out the back-off that keeps a crowd of thousands apart."""


class Follower:
    """Writes into `seen` every entry the client hands on, and knows who it is told is present."""

    def __init__(self, api: Api, seen: dict[str, list[int]], url: str) -> None:
        self._api = api
        self._url = url
        self._connection = 0
        self._present: dict[str, set[str]] = {}
        self._read_up_to: dict[str, int] = {}
        """What the log was read up to over HTTP: the same may already be on its way from here."""
        self.seen = seen
        self.client: Client | None = None

    async def follow(self) -> None:
        """Until cancelled, or the client is told not to come back: then its rooms have gaps."""
        async with connect(self._ticket, OPTIONS) as client:
            for known in self.seen:
                client.follow(UUID(known), Cursor(ep="1", seq=0))
            self.client = client
            try:
                async for happening in client.happenings():
                    match happening:
                        case Happened(room, frame) if frame["op"] == "ev":
                            self._take_entry(str(room), int(frame["seq"]))
                        case Happened(room, frame) if frame.get("t") == "presence":
                            self._take_presence(str(room), frame["d"])
                        case SnapshotNeeded(room):
                            client.resume_from(room, await self._snapshot(str(room)))
                        case Connected(number):
                            self._present.clear()
                            self._connection = number
            finally:
                self.client = None

    def shows(self, room: str) -> set[str]:
        """Who is shown in the room now; nobody while there is no connection, or while what was
        told by an earlier one has not been cleared away yet.
        """
        if self.client is None or self.client.connection != self._connection:
            return set()
        return self._present.get(room, set())

    async def _ticket(self) -> Ticket:
        ticket = await self._api.ticket()
        return Ticket(url=self._url, ticket=ticket.ticket)

    async def _snapshot(self, room: str) -> Cursor:
        """The whole log that was missed, which stands for the page a person would read."""
        while True:
            try:
                epoch = await read_log(self._api, room, self.seen[room])
            except LOST:
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._read_up_to[room] = self.seen[room][-1]
                return Cursor(ep=epoch, seq=self.seen[room][-1])

    def _take_entry(self, room: str, seq: int) -> None:
        if seq > self._read_up_to.get(room, 0):
            self.seen[room].append(seq)

    def _take_presence(self, room: str, state: dict[str, object]) -> None:
        people: list[dict[str, str]] = state["people"]  # type: ignore[assignment]
        if state["whole"]:
            self._present[room] = set()
        shown = self._present.setdefault(room, set())
        for each in people:
            if each["status"] == "offline":
                shown.discard(each["user_id"])
            else:
                shown.add(each["user_id"])
