"""Open and close a service's messaging in the right order."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from seda_contracts.registry import BY_TYPE
from seda_db import Database
from seda_runtime.logging import get_logger

from seda_messaging.bus import Bus
from seda_messaging.cancellation import still_wanted
from seda_messaging.consumer import Subscription, consume
from seda_messaging.inbox import forget_hourly
from seda_messaging.outbox import Outbox

log = get_logger(__name__)
RESTART_SECONDS = 1.0


@asynccontextmanager
async def run_messaging(
    bus: Bus, outbox: Outbox, database: Database, subscriptions: Sequence[Subscription]
) -> AsyncIterator[None]:
    """Connect, relay the outbox and consume; on the way out stop taking, finish, hang up.

    Raises ValueError for a subscription that the contracts registry does not declare.
    """
    grouped = group_by_consumer(subscriptions)
    inbox = outbox.table.metadata.tables[f"{outbox.table.schema}.inbox"]
    await bus.open()
    tasks = [
        asyncio.create_task(_stop_with(bus)),
        asyncio.create_task(_keep("outbox", partial(outbox.relay, bus, database))),
    ]
    streams = {name: BY_TYPE[group[0].contract.TYPE].stream for name, group in grouped.items()}
    forget = partial(forget_hourly, database, inbox, streams)
    tasks.append(asyncio.create_task(_keep("inbox", forget)))
    for name, group in grouped.items():
        work = partial(consume, bus, inbox, streams[name].name, group)
        tasks.append(asyncio.create_task(_keep(name, work)))
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()


async def _stop_with(bus: Bus) -> None:
    """A connection that has closed for good (a key withdrawn, a protocol error) cannot be mended
    from inside: stop, and let the supervisor start a process with a new one.
    """
    await bus.closed.wait()
    log.error("messaging.stopping", reason="the connection to NATS has closed for good")
    signal.raise_signal(signal.SIGTERM)


async def _keep(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Start again whatever ends by a fault nobody foresaw: a service whose relay died in silence
    would look healthy and tell nobody anything.
    """
    while still_wanted():
        try:
            # A task of its own: in Python 3.11 a task group that fails leaves its task marked as
            # cancelled, and this loop must tell that from being told to stop.
            await asyncio.create_task(work())
        except Exception as error:
            log.error("messaging.restarted", part=name, exc_info=error)
        await asyncio.sleep(RESTART_SECONDS)


def group_by_consumer(subscriptions: Sequence[Subscription]) -> dict[str, list[Subscription]]:
    grouped: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        entry = BY_TYPE[subscription.contract.TYPE]
        if subscription.consumer not in entry.consumers:
            raise ValueError(f"{subscription.consumer} is not declared for {entry.contract.TYPE}")
        grouped.setdefault(subscription.consumer, []).append(subscription)
    return grouped
