"""One connection to NATS per process, behind the few verbs the platform uses.

Everything that dies silently in the client when the server restarts is re-made here: the pull
request in flight, and every key-value watcher.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as CoreSubscription
from nats.errors import Error as NatsError
from nats.errors import OutboundBufferLimitError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, NoKeysError
from nats.js.kv import KeyValue
from seda_runtime.logging import get_logger

from seda_messaging.cancellation import still_wanted
from seda_messaging.pull import Pull

log = get_logger(__name__)
Unsubscribe = Callable[[], Awaitable[None]]
LiveCallback = Callable[[str, bytes], None]
CONNECT_SECONDS_MAX = 30
REWATCH_SECONDS = 0.5


class BusUnavailable(ConnectionError):
    """NATS cannot be reached. Whatever is in the outbox leaves later."""


class PublishRefused(ValueError):
    """The broker can never take this message, whenever it is sent: it is too big."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The broker's word that it has stored a message."""

    stream: str
    sequence: int
    is_duplicate: bool
    """It had stored the same id before, and keeps the first only."""


class Bus:
    """The connection of one service. `open` once, `close` last.

    `nkey_seed` is the service's private key at a broker that knows users.
    """

    def __init__(self, url: str, *, service: str, nkey_seed: str | None = None) -> None:
        self._url = url
        self._service = service
        self._nkey_seed = nkey_seed
        self._client: Client | None = None
        self._reconnected = asyncio.Event()
        self._closing = False

    @property
    def js(self) -> JetStreamContext:
        """Raises BusUnavailable before `open`."""
        return self._connection().jetstream(timeout=5)

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def ready(self) -> bool:
        return self.is_connected

    async def open(self) -> None:
        """Connect, waiting up to 30 s for a server that starts beside us."""
        deadline = asyncio.get_running_loop().time() + CONNECT_SECONDS_MAX
        while True:
            try:
                self._client = await nats.connect(
                    self._url,
                    name=self._service,
                    inbox_prefix=f"_INBOX_{self._service}".encode(),
                    nkeys_seed_str=self._nkey_seed,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.5,
                    ping_interval=10,
                    error_cb=self._on_error,
                    reconnected_cb=self._on_reconnect,
                    closed_cb=self._on_close,
                    allow_reconnect=True,
                    connect_timeout=2,
                )
            except (TimeoutError, OSError, NatsError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise BusUnavailable("NATS did not answer in time") from error
                await asyncio.sleep(0.2)
            else:
                return

    async def close(self) -> None:
        """Flush what is buffered and hang up; a server that is away does not hold us."""
        self._closing = True
        if self._client is None or self._client.is_closed:
            return
        try:
            await asyncio.wait_for(self._client.drain(), 5)
        except (TimeoutError, NatsError):
            await self._client.close()

    def reconnected(self) -> asyncio.Event:
        """Set at the next reconnect. Take it before you start to wait for the server."""
        return self._reconnected

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> Receipt:
        """Into JetStream, returning when the server has stored it.

        Raises BusUnavailable when it did not confirm (publishing the same id again is harmless),
        PublishRefused for a message above the server's limit.
        """
        if message_bytes(payload, headers) > self._connection().max_payload:
            raise PublishRefused("bigger than the bytes of the server")
        try:
            answer = await self.js.publish(subject, payload, headers=dict(headers), timeout=5)
        except (TimeoutError, NatsError, OSError) as error:
            raise BusUnavailable(f"not confirmed: {type(error).__name__}") from error
        return Receipt(
            stream=answer.stream, sequence=answer.seq, is_duplicate=bool(answer.duplicate)
        )

    async def publish_live(self, subject: str, payload: bytes) -> None:
        """To whoever listens now. Lost when nobody does; never raises for a server that is away."""
        try:
            await self._connection().publish(subject, payload)
        except (OutboundBufferLimitError, NatsError) as error:
            log.warning("live.dropped", error=type(error).__name__)

    async def subscribe_live(self, subject: str, callback: LiveCallback) -> Unsubscribe:
        """Call back for every message from now on; survives reconnects."""

        async def receive(message: Msg) -> None:
            callback(message.subject, message.data)

        subscription: CoreSubscription = await self._connection().subscribe(subject, cb=receive)

        async def unsubscribe() -> None:
            if self.is_connected:
                await subscription.unsubscribe()

        return unsubscribe

    def pull(self, stream: str, durable: str) -> Pull:
        """Messages of a durable consumer. Raises BusUnavailable before `open`."""
        return Pull(self._connection(), stream, durable)

    async def flush(self) -> None:
        await self._connection().flush()

    async def key_value(self, bucket: str, *, ttl_seconds: int) -> KeyValue:
        """The bucket, made when it does not exist yet."""
        try:
            return await self.js.key_value(bucket)
        except BucketNotFoundError:
            return await self.js.create_key_value(KeyValueConfig(bucket=bucket, ttl=ttl_seconds))

    def _connection(self) -> Client:
        if self._client is None:
            raise BusUnavailable("the bus is not open")
        return self._client

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "permissions violation" in text.lower():
            log.error("nats.permission_refused", detail=text[:300])
        else:
            log.warning("nats.error", error=type(error).__name__, detail=text[:300])

    async def _on_reconnect(self) -> None:
        log.info("nats.reconnected")
        passed, self._reconnected = self._reconnected, asyncio.Event()
        passed.set()

    async def _on_close(self) -> None:
        if not self._closing:
            log.error("nats.closed")


class KeyValueMirror:
    """A key-value bucket held in memory, kept true by a watcher that outlives server restarts.

    nats-py's watchers fall silent for ever after a reconnect (nats.py issue 510), so the watcher is
    made anew each time and the bucket is read from the start.
    """

    def __init__(self, bus: Bus, bucket: str, *, ttl_seconds: int) -> None:
        self._bus = bus
        self._bucket = bucket
        self._ttl_seconds = ttl_seconds
        self._task: asyncio.Task[None] | None = None
        self.values: dict[str, bytes] = {}

    async def open(self) -> None:
        """Returns once the bucket has been read; watching goes on in the background."""
        store = await self._bus.key_value(self._bucket, ttl_seconds=self._ttl_seconds)
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
        try:
            store = await self._bus.key_value(self._bucket, ttl_seconds=self._ttl_seconds)
            await store.put(key, value)
        except (TimeoutError, NatsError, OSError) as error:
            raise BusUnavailable("the bucket did not confirm") from error

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
                store = await self._bus.key_value(self._bucket, ttl_seconds=self._ttl_seconds)
                watcher = await store.watchall()
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


def message_bytes(payload: bytes, headers: Mapping[str, str]) -> int:
    """What a message weighs on the wire, as the server counts it against `max_payload`."""
    lines = sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
    return len("NATS/1.0\r\n") + lines + len("\r\n") + len(payload)
