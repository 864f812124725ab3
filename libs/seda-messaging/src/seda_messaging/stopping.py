"""Loops that end even when something inside them has eaten the cancellation.

`asyncio.wait_for` before Python 3.12 drops a cancellation that arrives together with its result
(CPython issue 86296), and nats-py waits that way for every confirmation. A loop that went on then
would hold the shutdown of the service for ever.
"""

import asyncio


def is_stopping() -> bool:
    """Whether the running task has been asked to stop, heard or not."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
