"""Loops that end when they are told to, on Python 3.11 too."""

import asyncio


def still_wanted() -> bool:
    """False once the current task has been asked to stop.

    `asyncio.wait_for` of Python 3.11 may return its result and forget the cancellation that came
    at the same moment (cpython issue 86296); the drivers below us use it. A loop that only relied
    on the exception would then run for ever, and the service would not stop.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() == 0
