"""Durable pull consumers: keyed order, bounded concurrency, back-off, dead letters.

The loop races its long poll against a reconnect, because a pull request in flight dies silently
with the server. Every way out of a failure waits, so nothing here can spin.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from seda_contracts.base import Contract
from seda_contracts.envelope import MalformedEnvelopeError, read_envelope
from seda_contracts.registry import CONSUMERS, Consumer, durable_name
from seda_runtime.failpoints import failpoint
from seda_runtime.logging import get_logger
from sqlalchemy import Table

from seda_messaging.bus import Bus, BusUnavailable
from seda_messaging.cancellation import still_wanted
from seda_messaging.inbox import Delivery

log = get_logger(__name__)
tracer = trace.get_tracer("seda.messaging")
_propagator = TraceContextTextMapPropagator()
Handler = Callable[[Any, Delivery], Awaitable[None]]
ATTEMPTS_MAX = 8
BACK_OFF_SECONDS_MAX = 600
DRAIN_SECONDS_MAX = 10.0
"""Half of what a stopping process has before it is killed; the rest is for closing."""


class PermanentFailure(Exception):
    """No retry can help. The event goes to the dead letters with this reason."""


class Subscription(msgspec.Struct, frozen=True):
    """One event type of one durable consumer. Handlers of a consumer share its order and limits."""

    contract: type[Contract]
    handler: Handler
    consumer: str
    """`<service>.<purpose>`, as the contracts registry declares it."""
    concurrency: int = 8


async def consume(
    bus: Bus, inbox: Table, stream: str, subscriptions: Sequence[Subscription]
) -> None:
    """Run one durable consumer until cancelled; then finish what is in hand, or give it back."""
    worker = _Worker(bus, inbox, subscriptions)
    consumer = subscriptions[0].consumer
    try:
        while still_wanted():
            reconnected = bus.reconnected()
            try:
                await worker.pull(stream, durable_name(consumer), reconnected)
            except (TimeoutError, NatsError, OSError, ConnectionError) as error:
                log.warning("consumer.interrupted", consumer=consumer, error=type(error).__name__)
            await asyncio.sleep(0.2 + random.random() * 0.3)
    finally:
        await worker.drain()


class _Worker:
    """Hands messages to handlers: one key in order, different keys beside each other."""

    def __init__(self, bus: Bus, inbox: Table, subscriptions: Sequence[Subscription]) -> None:
        self._bus = bus
        self._inbox = inbox
        self._by_prefix = {f"seda.{s.contract.KIND}.{s.contract.TYPE}": s for s in subscriptions}
        self._name = subscriptions[0].consumer
        self._ack_wait_seconds = CONSUMERS.get(self._name, Consumer()).ack_wait_seconds
        self._slots = asyncio.Semaphore(subscriptions[0].concurrency)
        self._tails: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def pull(self, stream: str, durable: str, reconnected: asyncio.Event) -> None:
        """Take messages until the connection has been remade."""
        pull = self._bus.pull(stream, durable)
        await pull.open()
        watch = asyncio.create_task(reconnected.wait())
        coming: asyncio.Task[Msg | None] | None = None
        try:
            while still_wanted() and not reconnected.is_set():
                await self._slots.acquire()
                self._slots.release()
                coming = asyncio.create_task(pull.next(self._batch()))
                await asyncio.wait({coming, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    return
                message = coming.result()
                if message is not None:
                    await self._start(message)
        finally:
            watch.cancel()
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            await _quietly(pull.close())

    async def drain(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS_MAX)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _batch(self) -> int:
        return max(1, self._slots._value)

    async def _start(self, message: Msg) -> None:
        await self._slots.acquire()
        key = message.subject.rsplit(".", 1)[-1]
        task = asyncio.create_task(self._after(self._tails.get(key), message))
        self._tails[key] = task
        self._tasks.add(task)

        def finished(done: asyncio.Task[None]) -> None:
            self._slots.release()
            self._tasks.discard(done)
            if self._tails.get(key) is done:
                del self._tails[key]

        task.add_done_callback(finished)

    async def _after(self, previous: asyncio.Task[None] | None, message: Msg) -> None:
        try:
            if previous is not None:
                await asyncio.wait({previous})
            await self._deliver(message)
        except asyncio.CancelledError:
            # Whoever else consumes need not wait until the broker misses the answer.
            await _quietly(message.nak())
            raise
        except (TimeoutError, NatsError, OSError) as error:
            # The answer to the broker was lost; it will send the message again.
            log.warning("consumer.ack_lost", consumer=self._name, error=type(error).__name__)

    async def _deliver(self, message: Msg) -> None:
        attempt = message.metadata.num_delivered
        headers = message.headers or {}
        context = _propagator.extract(headers, context=Context())
        subject_type = message.subject.rsplit(".", 1)[0]
        with tracer.start_as_current_span(
            f"consume {subject_type}", context=context, kind=SpanKind.CONSUMER
        ):
            try:
                subscription, contract, delivery = self._decode(subject_type, message, attempt)
                failpoint("consumer.before_effect")
                await self._handle(subscription.handler(contract, delivery), message)
                failpoint("consumer.after_effect")
            except PermanentFailure as failure:
                await self._bury(message, str(failure))
            except Exception as error:
                log.warning("consumer.failed", consumer=self._name, attempt=attempt, exc_info=error)
                if attempt >= ATTEMPTS_MAX:
                    await self._bury(message, f"{type(error).__name__} after {attempt} attempts")
                else:
                    await message.nak(delay=back_off_seconds(attempt))
            else:
                await message.ack()

    def _decode(
        self, subject_type: str, message: Msg, attempt: int
    ) -> tuple[Subscription, Contract, Delivery]:
        subscription = self._by_prefix.get(subject_type)
        if subscription is None:
            raise PermanentFailure("wrong_subject")
        try:
            envelope = read_envelope(message.headers)
            contract = subscription.contract.decode(message.data)
        except MalformedEnvelopeError as error:
            raise PermanentFailure(f"malformed_envelope: {error}") from error
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise PermanentFailure(f"undecodable: {error}") from error
        if envelope.type != subscription.contract.TYPE:
            raise PermanentFailure("type_mismatch")
        delivery = Delivery(
            event_id=envelope.event_id,
            type=envelope.type,
            subject=message.subject,
            consumer=self._name,
            attempt=attempt,
            headers=message.headers or {},
            inbox=self._inbox,
        )
        return subscription, contract, delivery

    async def _handle(self, work: Awaitable[None], message: Msg) -> None:
        """Run the handler, telling the broker every third of `ack_wait` that we are still at it."""
        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._ack_wait_seconds / 3)
                if done:
                    task.result()
                    return
                await message.in_progress()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _bury(self, message: Msg, reason: str) -> None:
        """Copy to the dead letters, then end the message. Without the copy it is tried again."""
        service, purpose = self._name.split(".", 1)
        headers = {
            **(message.headers or {}),
            "seda-dead-subject": message.subject,
            "seda-dead-reason": reason.replace("\n", " ")[:300],
            "seda-dead-sequence": str(message.metadata.sequence.stream),
            "seda-dead-attempts": str(message.metadata.num_delivered),
            # A dead letter is one event; burying it twice must not make two.
            "Nats-Msg-Id": f"{self._name}:{message.metadata.sequence.stream}",
        }
        log.error("consumer.dead_letter", consumer=self._name, reason=reason[:300])
        try:
            await self._bus.publish(f"seda.dlq.{service}.{purpose}", message.data, headers)
        except BusUnavailable:
            await message.nak(delay=back_off_seconds(message.metadata.num_delivered))
        else:
            await message.term()


def back_off_seconds(attempt: int) -> float:
    """Doubling from two seconds to ten minutes, a fifth either way so that retries spread."""
    return float(min(BACK_OFF_SECONDS_MAX, 2**attempt) * random.uniform(0.8, 1.2))


async def _quietly(work: Awaitable[None]) -> None:
    with contextlib.suppress(NatsError, OSError):  # the connection may be gone already
        await work
