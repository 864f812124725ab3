"""Questions to the database that arrive together share one transaction.

Nobody lingers: a question that finds nothing under way is asked at once, the next ones wait for its
end and go together. So a thousand sockets that come back at the same moment cost some tens of
transactions. A question is in a batch before the batch's transaction begins: the answer is never
older than the question, just as if it had been asked alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from seda_db import DatabaseUnavailable
from seda_runtime.logging import get_logger

from chat_realtime.live.domain import TooManyComing

log = get_logger(__name__)
Question = TypeVar("Question")
Answer = TypeVar("Answer")
WAITING_MAX = 8_192
BATCH_MAX = 256


class Together(Generic[Question, Answer]):
    """`answer` is given questions and says for each, in their order, the answer or what to raise.

    It may be called again with a part of the same questions when it raises.
    """

    def __init__(
        self, answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]]
    ) -> None:
        self._answer = answer
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises what the answer is, TooManyComing or DatabaseUnavailable."""
        if len(self._waiting) >= WAITING_MAX:
            raise TooManyComing
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, told))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await told

    async def _ask_all(self) -> None:
        """Until nobody waits: what is idle has no task."""
        try:
            while self._waiting:
                count = min(len(self._waiting), BATCH_MAX)
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._settle([each for each in batch if not each[1].done()])
        finally:
            self._asking = None

    async def _settle(self, batch: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        """One that fails is halved, down to the question that makes it fail."""
        pieces = deque([batch] if batch else [])
        while pieces:
            piece = pieces.popleft()
            try:
                answers = await self._answer([question for question, _ in piece])
            except DatabaseUnavailable as error:
                # To try each of them would only make them wait for the same.
                for part in (piece, *pieces):
                    for _, told in part:
                        _tell(told, error)
                return
            except asyncio.CancelledError:
                for part in (piece, *pieces):
                    for _, told in part:
                        told.cancel()
                raise
            except Exception as error:
                if len(piece) == 1:
                    _tell(piece[0][1], error)
                    continue
                log.warning("together.halved", questions=len(piece), kind=type(error).__name__)
                middle = len(piece) // 2
                pieces.extendleft((piece[middle:], piece[:middle]))
            else:
                for (_, told), answer in zip(piece, answers, strict=True):
                    _tell(told, answer)


def _tell(told: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if told.done():
        return
    if isinstance(answer, Exception):
        told.set_exception(answer)
    else:
        told.set_result(answer)
