"""A key-value bucket held in memory, kept true across restarts of the server."""

import asyncio
from contextlib import suppress
from typing import Any

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from nats.js.kv import KeyValue
from seda_runtime.logging import get_logger

from seda_messaging.bus import ANSWER_SECONDS_MAX, Bus
from seda_messaging.cancellation import still_wanted
from seda_messaging.errors import BusUnavailable, unavailable

log = get_logger(__name__)
REWATCH_SECONDS = 0.5
ABANDONED_SECONDS = 5.0
"""After this the broker forgets a watcher that nobody listens to. The client's own default is five
minutes, in which a flapping connection piles them up.
"""


class KeyValueMirror:
    """Reads are of this process's memory; a watcher keeps it true.

    nats-py's watchers fall silent for ever after a reconnect (nats.py issue 510), so the watcher is
    made anew each time and the bucket is read from the start. `migrate` makes the bucket.
    """

    def __init__(self, bus: Bus, bucket: str) -> None:
        self._bus = bus
        self._bucket = bucket
        self._task: asyncio.Task[None] | None = None
        self.values: dict[str, bytes] = {}

    async def open(self) -> None:
        """Returns once the bucket has been read; watching goes on in the background.

        Raises BusUnavailable, also when nobody has made the bucket.
        """
        with unavailable():
            reconnected = self._bus.reconnected()
            watcher = await self._watch()
            while (update := await watcher.updates(timeout=ANSWER_SECONDS_MAX)) is not None:
                self._apply(update)
        self._task = asyncio.create_task(self._follow(watcher, reconnected))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def put(self, key: str, value: bytes) -> None:
        """Raises BusUnavailable. The local copy holds the value at once."""
        self.values[key] = value
        with unavailable():
            await (await self._store()).put(key, value)

    async def _store(self) -> KeyValue:
        try:
            return await self._bus.jetstream().key_value(self._bucket)
        except NotFoundError as error:
            raise BusUnavailable(f"there is no bucket {self._bucket}: run `migrate`") from error

    async def _watch(self) -> Any:
        """A watcher that first tells everything the bucket holds, then None, then each change."""
        store = await self._store()
        return await store.watchall(inactive_threshold=ABANDONED_SECONDS)

    async def _follow(self, watcher: Any, reconnected: asyncio.Event) -> None:
        while still_wanted():
            if not reconnected.is_set():
                with suppress(TimeoutError, NatsError):
                    self._apply(await watcher.updates(timeout=REWATCH_SECONDS))
                continue
            with suppress(NatsError):  # it may have ended with the connection
                await watcher.stop()
            watcher, reconnected = await self._watch_again()

    async def _watch_again(self) -> tuple[Any, asyncio.Event]:
        while True:
            reconnected = self._bus.reconnected()
            try:
                return await self._watch(), reconnected
            except (TimeoutError, NatsError, OSError) as error:
                log.warning("kv.watch_failed", bucket=self._bucket, error=type(error).__name__)
                await asyncio.sleep(REWATCH_SECONDS)

    def _apply(self, update: KeyValue.Entry | None) -> None:
        """A key that goes by age is not told; whoever keeps such a bucket sweeps its own memory."""
        if update is None:
            return
        if update.operation is None and update.value:
            self.values[update.key] = update.value
        else:
            self.values.pop(update.key, None)
