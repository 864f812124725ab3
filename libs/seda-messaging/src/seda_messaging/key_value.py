"""A key-value bucket held in memory, kept true across restarts of the server."""

import asyncio
from typing import Any

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, NoKeysError, NotFoundError
from nats.js.kv import KeyValue
from seda_runtime.logging import get_logger

from seda_messaging.bus import Bus
from seda_messaging.cancellation import still_wanted
from seda_messaging.errors import BusUnavailable, unavailable

log = get_logger(__name__)
REWATCH_SECONDS = 0.5


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
            store = await self._store()
            try:
                for key in await store.keys():
                    await self._read(store, key)
            except NoKeysError:
                pass
        self._task = asyncio.create_task(self._follow())

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

    async def _read(self, store: KeyValue, key: str) -> None:
        try:
            entry = await store.get(key)
        except KeyNotFoundError:
            return
        if entry.value:
            self.values[key] = entry.value

    async def _follow(self) -> None:
        while still_wanted():
            reconnected = self._bus.reconnected()
            try:
                watcher = await (await self._store()).watchall()
                await self._until_reconnect(watcher, reconnected)
                await watcher.stop()  # type: ignore[no-untyped-call]
            except (TimeoutError, NatsError, OSError) as error:
                log.warning("kv.watch_failed", bucket=self._bucket, error=type(error).__name__)
            await asyncio.sleep(REWATCH_SECONDS)

    async def _until_reconnect(self, watcher: Any, reconnected: asyncio.Event) -> None:
        while still_wanted() and not reconnected.is_set():
            try:
                update = await watcher.updates(timeout=REWATCH_SECONDS)
            except (TimeoutError, NatsError):
                continue
            if update is None:
                continue
            if update.operation is None and update.value:
                self.values[update.key] = update.value
            else:
                self.values.pop(update.key, None)
