"""Questions that share a transaction: each gets its own answer, none of them an old one."""

import asyncio
from collections.abc import Sequence

import pytest
from chat_realtime.live import together
from chat_realtime.live.domain import TooManyComing
from chat_realtime.live.together import Together
from seda_db import DatabaseUnavailable


class Oracle:
    """Answers with the double, once it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, questions: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(questions))
        self.asked.set()
        await self.may_answer.wait()
        if 13 in questions:
            raise ValueError("unlucky")
        if 99 in questions:
            raise DatabaseUnavailable("away")
        return [KeyError(each) if each < 0 else 2 * each for each in questions]


async def test_what_arrives_during_one_answer_shares_the_next() -> None:
    oracle = Oracle()
    asking = Together(oracle.answer)
    oracle.may_answer.clear()
    first = asyncio.create_task(asking.ask(1))
    await oracle.asked.wait()
    others = [asyncio.create_task(asking.ask(n)) for n in range(20, 50)]
    await asyncio.sleep(0)
    oracle.may_answer.set()
    assert await first == 2
    assert await asyncio.gather(*others) == [2 * n for n in range(20, 50)]
    # Nobody was taken into the batch that was already being answered.
    assert oracle.batches == [[1], list(range(20, 50))]


async def test_one_that_breaks_the_batch_breaks_for_itself_alone() -> None:
    asking = Together(Oracle().answer)
    outcomes = await asyncio.gather(
        *(asking.ask(n) for n in (11, 12, 13, 14, -1)), return_exceptions=True
    )
    assert outcomes[:2] == [22, 24]
    assert isinstance(outcomes[2], ValueError)
    assert outcomes[3] == 28
    assert isinstance(outcomes[4], KeyError)


async def test_an_outage_answers_everybody_at_once() -> None:
    oracle = Oracle()
    asking = Together(oracle.answer)
    outcomes = await asyncio.gather(*(asking.ask(n) for n in (1, 99, 2)), return_exceptions=True)
    assert all(isinstance(each, DatabaseUnavailable) for each in outcomes)
    assert await asking.ask(3) == 6


async def test_who_goes_away_while_waiting_is_not_asked_for() -> None:
    oracle = Oracle()
    asking = Together(oracle.answer)
    oracle.may_answer.clear()
    first = asyncio.create_task(asking.ask(1))
    gone = asyncio.create_task(asking.ask(2))
    third = asyncio.create_task(asking.ask(3))
    await oracle.asked.wait()
    late = asyncio.create_task(asking.ask(4))
    later = asyncio.create_task(asking.ask(5))
    await asyncio.sleep(0)
    late.cancel()
    oracle.may_answer.set()
    assert await asyncio.gather(first, gone, third, later) == [2, 4, 6, 10]
    assert 4 not in oracle.batches[-1]


async def test_a_queue_that_is_full_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "WAITING_MAX", 2)
    asking = Together(Oracle().answer)
    outcomes = await asyncio.gather(*(asking.ask(n) for n in range(3)), return_exceptions=True)
    assert outcomes[:2] == [0, 2]
    assert isinstance(outcomes[2], TooManyComing)
