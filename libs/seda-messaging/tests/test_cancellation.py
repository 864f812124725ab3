"""A loop that must stop, and a driver that lost the word."""

import asyncio

from seda_messaging.cancellation import still_wanted


async def test_a_loop_whose_cancellation_was_swallowed_still_ends() -> None:
    waiting = asyncio.Event()

    async def loop() -> int:
        rounds = 0
        while still_wanted():
            rounds += 1
            waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue  # what wait_for of Python 3.11 does to its caller
        return rounds

    task = asyncio.create_task(loop())
    await waiting.wait()
    task.cancel()
    async with asyncio.timeout(2):
        assert await task == 1
