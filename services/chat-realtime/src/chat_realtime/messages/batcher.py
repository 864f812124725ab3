"""Group commit: the messages that arrive while one commit is under way share the next one.

Nobody lingers: a message that finds the batcher idle is on its way at once. Why it is so, with
figures, is in decision 0014.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from seda_db import Database, DatabaseUnavailable
from seda_runtime.logging import get_logger

from chat_realtime.log.operations import Recording
from chat_realtime.messages.domain import Busy, Stopping
from chat_realtime.messages.sending import Draft, Sent, locks_sql, send_messages

log = get_logger(__name__)
WAITING_MAX = 1_024
BATCH_MAX = 512
LAST_COMMIT_SECONDS_MAX = 10


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A draft, and the sender who waits for what becomes of it or has gone away."""

    draft: Draft
    answer: asyncio.Future[Sent]

    def tell(self, outcome: Sent | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, Sent):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


class Batcher:
    """The one way messages of this process are kept. `send` works while `run` is entered."""

    def __init__(self, db: Database, recording: Recording) -> None:
        self._db = db
        self._recording = recording
        self._waiting: deque[_Waiting] = deque()
        self._is_filled = asyncio.Event()
        self._is_open = False

    async def send(self, draft: Draft) -> Sent:
        """Returns after the commit. A sender who is cancelled may have sent all the same.

        Raises what `send_messages` refuses with, Busy, Stopping and DatabaseUnavailable; after the
        last the message may have been kept, and the same draft again finds out.
        """
        if not self._is_open:
            raise Stopping
        if len(self._waiting) >= WAITING_MAX:
            raise Busy
        waiting = _Waiting(draft, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._is_filled.set()
        return await waiting.answer

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """When left, what was taken is committed and answered; what waits is told to come again."""
        self._is_open = True
        writing = asyncio.create_task(self._write())
        try:
            yield
        finally:
            self._is_open = False
            while self._waiting:
                self._waiting.popleft().tell(Stopping())
            self._is_filled.set()
            await asyncio.wait({writing}, timeout=LAST_COMMIT_SECONDS_MAX)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self) -> None:
        while self._is_open:
            await self._is_filled.wait()
            self._is_filled.clear()
            while batch := self._take():
                try:
                    await self._settle(batch)
                finally:
                    for waiting in batch:  # whose answer the database still owes
                        waiting.tell(DatabaseUnavailable("the database is not reachable"))

    def _take(self) -> list[_Waiting]:
        """The next batch, without those who went away while they waited."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < BATCH_MAX:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    async def _settle(self, batch: list[_Waiting]) -> None:
        """Commit the batch. One that fails is halved, down to the message that makes it fail.

        During an outage it ends with messages unanswered: to try each of them would only make them
        wait for the same.
        """
        pieces = deque([batch])
        while pieces:
            piece = pieces.popleft()
            try:
                outcomes = await self._commit([waiting.draft for waiting in piece])
            except DatabaseUnavailable as error:
                log.warning("sends.unavailable", cause=repr(error.__cause__ or error)[:300])
                return
            except Exception as error:
                if len(piece) == 1:
                    piece[0].tell(error)
                    continue
                log.warning("sends.halved", messages=len(piece), kind=type(error).__name__)
                middle = len(piece) // 2
                pieces.extendleft((piece[middle:], piece[:middle]))
            else:
                for waiting, outcome in zip(piece, outcomes, strict=True):
                    waiting.tell(outcome)

    async def _commit(self, drafts: Sequence[Draft]) -> list[Sent | Exception]:
        async with self._db.begin_driver(first=locks_sql(drafts)) as tx:
            return await send_messages(tx, self._recording, drafts)
