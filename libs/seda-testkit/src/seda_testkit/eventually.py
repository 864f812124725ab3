"""Wait for something to become true, with a deadline, instead of sleeping for a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
POLL_SECONDS = 0.02


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]],
    *,
    timeout_seconds: float = 20.0,
    poll_seconds: float = POLL_SECONDS,
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None],
    *,
    timeout_seconds: float = 20.0,
    poll_seconds: float = POLL_SECONDS,
) -> T: ...
async def eventually(
    condition: Callable[[], Any],
    *,
    timeout_seconds: float = 20.0,
    poll_seconds: float = POLL_SECONDS,
) -> Any:
    """Ask until the answer is truthy and return it.

    An AssertionError counts as "not yet", so a condition may assert and its message survives.
    Raises AssertionError with the last answer when the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        last_error: AssertionError | None = None
        answer: Any = None
        try:
            given = condition()
            answer = await given if inspect.isawaitable(given) else given
        except AssertionError as error:
            last_error = error
        if last_error is None and answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"not true within {timeout_seconds} s; the last answer was "
                f"{last_error if last_error is not None else answer!r}"
            ) from last_error
        await asyncio.sleep(poll_seconds)
