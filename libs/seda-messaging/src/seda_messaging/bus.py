"""One connection to NATS per process, behind the few verbs the platform uses.

This module, `pull`, `key_value`, `provision` and `errors` are all that know the client library (a
check holds the rest to that), so it can be changed behind them. What dies silently in it is mended
here too: a request in flight when the server restarts, a watcher, a connection that closes for
good.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as CoreSubscription
from nats.errors import BadSubjectError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError
from seda_runtime.logging import get_logger

from seda_messaging.errors import (
    BusUnavailable,
    CredentialRefused,
    PublishRefused,
    unavailable,
)
from seda_messaging.pull import Pull

log = get_logger(__name__)
Unsubscribe = Callable[[], Awaitable[None]]
LiveCallback = Callable[[str, bytes], None]
CONNECT_SECONDS_MAX = 30.0
ANSWER_SECONDS_MAX = 5.0
REFUSED_SUBJECT = re.compile(r'for publish to "([^"]+)"')
REFUSAL_SECONDS = 60.0
"""How long a refused permission keeps the service from being ready, after the last one."""


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
        self._credential_refused = asyncio.Event()
        self._refused_at: float | None = None
        self._refused_subjects: deque[str] = deque(maxlen=100)
        self._closing = False
        self.closed = asyncio.Event()
        """Set when the connection has ended for good without our wish; only a new process helps."""

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def ready(self) -> bool:
        """Connected, and nothing refused lately: a refusal looks like a time-out to its caller, so
        it has to be loud somewhere.
        """
        refused_at = self._refused_at
        is_refused = refused_at is not None and time.monotonic() - refused_at < REFUSAL_SECONDS
        return self.is_connected and not is_refused

    async def open(self) -> None:
        """Connect, waiting up to 30 s for a server that starts beside us.

        Raises CredentialRefused at once, BusUnavailable after that time.
        """
        self._client = client = _Client()
        connecting = asyncio.create_task(
            client.connect(
                self._url,
                name=self._service,
                inbox_prefix=f"_INBOX_{self._service}".encode(),
                nkeys_seed_str=self._nkey_seed,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.5,  # type: ignore[arg-type]  # seconds, fractions too
                ping_interval=10,
                connect_timeout=2,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
                closed_cb=self._on_close,
            )
        )
        refused = asyncio.create_task(self._credential_refused.wait())
        try:
            await asyncio.wait(
                {connecting, refused},
                timeout=CONNECT_SECONDS_MAX,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if connecting.done():
                connecting.result()
                return
        finally:
            for task in (connecting, refused):
                task.cancel()
            await asyncio.gather(connecting, refused, return_exceptions=True)
        await self.close()
        if self._credential_refused.is_set():
            raise CredentialRefused(
                f"NATS refused the credential of {self._service}: NATS_NKEY_SEED is missing, or "
                "its public key is not the one in the server's configuration"
            )
        raise BusUnavailable(f"NATS did not answer within {CONNECT_SECONDS_MAX:.0f} s")

    async def close(self) -> None:
        """Flush what is buffered and hang up; a server that is away does not hold us."""
        self._closing = True
        if self._client is None or self._client.is_closed:
            return
        try:
            await asyncio.wait_for(self._client.drain(), ANSWER_SECONDS_MAX)
        except (TimeoutError, NatsError):
            await self._client.close()

    def reconnected(self) -> asyncio.Event:
        """Set at the next reconnect. Take it before you start to wait for the server."""
        return self._reconnected

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> Receipt:
        """Into JetStream, returning when the server has stored it.

        Raises BusUnavailable when it did not confirm (publishing the same id again is harmless),
        PublishRefused for a message above the server's or the stream's limit, and for a subject
        that is malformed or not ours.
        """
        self._check_size(payload, headers)
        try:
            with unavailable():
                answer = await self.jetstream().publish(subject, payload, headers=dict(headers))
        except BusUnavailable as error:
            self._check_refusal(subject, error)
            raise
        return Receipt(
            stream=answer.stream, sequence=answer.seq, is_duplicate=bool(answer.duplicate)
        )

    @property
    def message_bytes_max(self) -> int:
        """Headers and payload together, as the server told."""
        return self._connection().max_payload

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
        return Pull(self._connection(), stream, durable, lost=self.reconnected())

    async def flush(self) -> None:
        await self._connection().flush()

    def jetstream(self) -> JetStreamContext:
        """For the modules of the port alone. Raises BusUnavailable before `open`."""
        return self._connection().jetstream(timeout=ANSWER_SECONDS_MAX)

    def _connection(self) -> Client:
        if self._client is None:
            raise BusUnavailable("the bus is not open")
        return self._client

    def _check_size(self, payload: bytes, headers: Mapping[str, str]) -> None:
        """The client counts the payload alone; the server counts the headers too, and answers what
        is above its limit by ending the connection.
        """
        if message_bytes(payload, headers) > self.message_bytes_max:
            raise PublishRefused(f"bigger than the {self.message_bytes_max} bytes of the server")

    def _check_refusal(self, subject: str, error: BusUnavailable) -> None:
        """Tell what the broker refuses from what it did not get: a subject of somebody else's looks
        like a time-out, and only the error callback hears why.
        """
        cause = error.__cause__
        if isinstance(cause, BadRequestError | BadSubjectError):
            raise PublishRefused(str(cause)) from error
        if subject.lower() in self._refused_subjects:
            self._refused_subjects.remove(subject.lower())
            raise PublishRefused(f"no permission to publish to {subject}") from error

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        lowered = text.lower()
        if "permissions violation" in lowered:
            self._refused_at = time.monotonic()
            if (found := REFUSED_SUBJECT.search(lowered)) is not None:
                self._refused_subjects.append(found[1])
            log.error("nats.permission_refused", detail=text[:300])
        elif "authorization violation" in lowered:
            self._credential_refused.set()
            log.error("nats.credential_refused", detail=text[:300])
        elif self.is_connected:
            log.warning("nats.error", error=type(error).__name__, detail=text[:300])

    async def _on_disconnect(self) -> None:
        if not self._closing:
            log.warning("nats.disconnected")

    async def _on_reconnect(self) -> None:
        log.info("nats.reconnected")
        self._refused_at = None
        passed, self._reconnected = self._reconnected, asyncio.Event()
        passed.set()

    async def _on_close(self) -> None:
        if not self._closing:
            log.error("nats.closed")
            self.closed.set()


class _Client(Client):
    """nats-py, with the two repairs that need its inside."""

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """What is pending goes into the link first, and a link that is gone raises: half way, with
        tasks and socket still open. By then it has dropped what was pending, so close once more.
        """
        try:
            await super()._close(status, do_cbs)
        except OSError:
            self._status = Client.DISCONNECTED
            await super()._close(status, do_cbs)

    async def _process_headers(self, headers: Any) -> dict[str, str] | None:
        """A header block that cannot be read ends nats-py's reading task without a word, and the
        service hears nothing more. Without headers the message goes to the dead letters instead.
        """
        try:
            found: dict[str, str] | None = await super()._process_headers(headers)
        except (ValueError, IndexError):
            log.warning("nats.headers_unreadable")
            return None
        return found


def message_bytes(payload: bytes, headers: Mapping[str, str]) -> int:
    """What a message weighs on the wire, as the server counts it against `max_payload`."""
    lines = sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
    return len("NATS/1.0\r\n") + lines + len("\r\n") + len(payload)
