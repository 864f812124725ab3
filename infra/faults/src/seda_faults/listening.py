"""A client of the socket that loses its connection, comes back and goes on where it was."""

import asyncio
from typing import Any

import httpx
from seda_messaging.cancellation import still_wanted
from seda_testkit.client import Api, ApiError, CommandRefused, LiveSocket
from websockets.exceptions import WebSocketException

RECONNECT_SECONDS = 0.3
PAGE_ENTRIES = 100
LOST = (
    OSError,
    TimeoutError,
    ApiError,
    CommandRefused,
    httpx.HTTPError,
    WebSocketException,
)


class Listener:
    """Writes into `seen` every entry it is shown, in that order, and judges nothing."""

    def __init__(self, api: Api, seen: dict[str, list[int]], url: str) -> None:
        self._api = api
        self._url = url
        self._epochs: dict[str, str] = {}
        self.seen = seen
        self.socket: LiveSocket | None = None
        self.connections = 0

    async def follow(self) -> None:
        """Until cancelled."""
        while still_wanted():
            try:
                ticket = await self._api.ticket()
                async with LiveSocket.open(
                    self._url, ticket=ticket.ticket, resume=self._cursors()
                ) as socket:
                    self.connections += 1
                    await self._listen(socket)
            except LOST:
                self.socket = None
            await asyncio.sleep(RECONNECT_SECONDS)

    def _cursors(self) -> dict[str, Any]:
        return {
            room: {"ep": self._epochs.get(room, "1"), "seq": seen[-1] if seen else 0}
            for room, seen in self.seen.items()
        }

    async def _listen(self, socket: LiveSocket) -> None:
        for room in socket.greeted.get("rooms", []):
            if room["result"] == "snapshot":
                await read_log(self._api, room["room"], self.seen[room["room"]], up_to=room["head"])
        self.socket = socket
        read = 0
        while still_wanted():
            frame = await socket.nth(read)
            read += 1
            if frame.op == "ev":
                self._epochs[frame.room] = frame.content["ep"]
                self.seen[frame.room].append(int(frame.content["seq"]))
            elif frame.op == "lagged":
                # Not a reason to guess: come back with the cursor, and be told everything.
                return


async def read_log(api: Api, room: str, seen: list[int], *, up_to: int | None = None) -> str:
    """Append what is missing, to the head of the log or as far as is wanted. Answers its epoch."""
    while True:
        after = seen[-1] if seen else 0
        page = await api.get(f"/chat/rooms/{room}/events", after_seq=after, limit=PAGE_ENTRIES)
        seqs = [int(entry["seq"]) for entry in page["items"]]
        seen += [seq for seq in seqs if up_to is None or seq <= up_to]
        if len(seqs) < PAGE_ENTRIES or seen[-1] == up_to:
            return str(page["ep"])
