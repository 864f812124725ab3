"""What HTTP and the socket do with a draft: past the rates, then to the batcher."""

from dataclasses import dataclass

from seda_db import Database
from seda_runtime.clock import Clock

from chat_realtime.limits.domain import RateLimited
from chat_realtime.limits.gate import Gate
from chat_realtime.messages.batcher import Batcher
from chat_realtime.messages.sending import Draft, Sent
from chat_realtime.rooms.operations import standing_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    db: Database
    batcher: Batcher
    gate: Gate
    now: Clock

    async def send(self, draft: Draft) -> Sent:
        """Raises RateLimited and what `Batcher.send` raises."""
        self.gate.take_person_message(draft.author_id)
        wait = self.gate.room_wait_seconds(draft.room_id)
        if wait:
            await self._check_member(draft)
            raise RateLimited(wait)
        sent = await self.batcher.send(draft)
        # Only what was kept counts for the room: strangers cannot use up what its members may say.
        if not sent.dup:
            self.gate.count_room_message(draft.room_id)
        return sent

    async def _check_member(self, draft: Draft) -> None:
        """Who may not know of a room does not learn that there is much said in it."""
        async with self.db.read() as tx:
            standing = await standing_of(tx, draft.room_id, draft.principal)
        standing.check_member(self.now())
