"""Durable pull consumers: keyed order, bounded concurrency, back-off, dead letters.

Every way out of a failure waits, so nothing here can spin. While a message is in hand, waiting for
its turn or for a database that is away, the broker is told that we are still at it; so it is sent
again only when this process has died.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from seda_contracts.base import Contract
from seda_contracts.registry import CONSUMERS, Consumer, durable_name
from seda_db import DatabaseUnavailable
from seda_runtime.failpoints import failpoint
from seda_runtime.logging import get_logger
from seda_runtime.telemetry import counter, histogram
from sqlalchemy import Table

from seda_messaging.bus import Bus
from seda_messaging.cancellation import still_wanted
from seda_messaging.dead_letters import dead_letter
from seda_messaging.errors import BusUnavailable
from seda_messaging.inbox import Delivery
from seda_messaging.pull import Message, Pull
from seda_messaging.reading import PermanentFailure, read_message

log = get_logger(__name__)
tracer = trace.get_tracer("seda.messaging")
_propagator = TraceContextTextMapPropagator()
_ended = counter(
    "seda_consumer_messages", "Deliveries by consumer and how they ended: done, retried, dead."
)
_took = histogram("seda_consumer_duration_seconds", "From delivery to the answer to the broker.")
Handler = Callable[[Any, Delivery], Awaitable[None]]
ATTEMPTS_MAX = 8
SERVER_DELIVERIES_MAX = 20
"""What the broker is told. Above our own limit, so that the application always decides first."""
BACK_OFF_SECONDS_MAX = 600
DEPENDENCY_WAIT_SECONDS_MAX = 5.0
IN_HAND_PER_SLOT = 4
"""Messages held per handler that may run: the rest wait behind another of their key."""
DRAIN_SECONDS_MAX = 10.0
"""Half of what a stopping process has before it is killed; the rest is for closing."""


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
            pull = bus.pull(stream, durable_name(consumer))
            try:
                await worker.run(pull)
            except BusUnavailable as error:
                log.warning("consumer.interrupted", consumer=consumer, reason=str(error))
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
        self._limits = CONSUMERS.get(self._name, Consumer())
        self._concurrency = subscriptions[0].concurrency
        self._running = asyncio.Semaphore(self._concurrency)
        self._in_hand_max = min(self._concurrency * IN_HAND_PER_SLOT, self._limits.ack_pending_max)
        self._in_hand: dict[asyncio.Task[None], Message] = {}
        self._tails: dict[str, asyncio.Task[None]] = {}
        self._held_up = 0
        """Messages that wait for a dependency. While there are any, no more are asked for."""
        self._room = asyncio.Event()

    async def run(self, pull: Pull) -> None:
        """Take messages until the connection has been remade. Raises BusUnavailable."""
        await pull.open()
        beat = asyncio.create_task(self._beat(pull))
        try:
            while still_wanted():
                await self._wait_for_room(pull)
                message = await pull.next(self._in_hand_max - len(self._in_hand))
                if message is not None:
                    self._start(message)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            await pull.close()

    async def drain(self) -> None:
        if self._in_hand:
            _, late = await asyncio.wait(self._in_hand, timeout=DRAIN_SECONDS_MAX)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _wait_for_room(self, pull: Pull) -> None:
        """A new request waits until it is worth one, and until nothing is held up."""
        while True:
            free = self._in_hand_max - len(self._in_hand)
            if pull.is_asking:
                if free > 0:
                    return
            elif free >= max(1, self._in_hand_max // 4) and not self._held_up:
                return
            self._room.clear()
            await self._room.wait()

    async def _beat(self, pull: Pull) -> None:
        while still_wanted():
            await asyncio.sleep(self._limits.ack_wait_seconds / 3)
            with suppress(BusUnavailable):
                for message in (*self._in_hand.values(), *pull.waiting):
                    await message.in_progress()

    def _start(self, message: Message) -> None:
        key = message.subject.rsplit(".", 1)[-1]
        task = asyncio.create_task(self._after(self._tails.get(key), message))
        self._tails[key] = task
        self._in_hand[task] = message

        def finished(done: asyncio.Task[None]) -> None:
            del self._in_hand[done]
            self._room.set()
            if self._tails.get(key) is done:
                del self._tails[key]

        task.add_done_callback(finished)

    async def _after(self, previous: asyncio.Task[None] | None, message: Message) -> None:
        try:
            if previous is not None:
                await asyncio.wait({previous})
            async with self._running:
                await self._deliver(message)
        except asyncio.CancelledError:
            # Whoever else consumes need not wait until the broker misses the answer.
            with suppress(BusUnavailable):
                await message.nak()
            raise
        except BusUnavailable as error:
            # The answer to the broker was lost; it will send the message again.
            log.warning("consumer.ack_lost", consumer=self._name, reason=str(error))

    async def _deliver(self, message: Message) -> None:
        began = asyncio.get_running_loop().time()
        context = _propagator.extract(message.headers, context=Context())
        subject_type = message.subject.rsplit(".", 1)[0]
        with tracer.start_as_current_span(
            f"consume {subject_type}", context=context, kind=SpanKind.CONSUMER
        ):
            how = await self._try(message, subject_type)
        _ended.add(1, {"consumer": self._name, "how": how})
        _took.record(asyncio.get_running_loop().time() - began, {"consumer": self._name})

    async def _try(self, message: Message, subject_type: str) -> str:
        """Handle the message and tell the broker how it went; says the same in one word."""
        try:
            if message.attempt >= SERVER_DELIVERIES_MAX:
                raise PermanentFailure(f"unfinished after {message.attempt} deliveries")
            subscription, contract, delivery = self._decode(message, subject_type)
            await self._handle(subscription.handler, contract, delivery)
        except PermanentFailure as failure:
            return await self._bury(message, str(failure))
        except Exception as error:
            attempt = message.attempt
            log.warning("consumer.failed", consumer=self._name, attempt=attempt, exc_info=error)
            if attempt >= ATTEMPTS_MAX:
                return await self._bury(message, f"{type(error).__name__} after {attempt} attempts")
            await message.nak(delay_seconds=back_off_seconds(attempt))
            return "retried"
        failpoint("consumer.after_effect")
        await message.ack()
        return "done"

    def _decode(
        self, message: Message, subject_type: str
    ) -> tuple[Subscription, Contract, Delivery]:
        """Raises PermanentFailure with the reason, in words that can be relied on."""
        subscription = self._by_prefix.get(subject_type)
        if subscription is None:
            raise PermanentFailure("wrong_subject")
        envelope, contract = read_message(
            subscription.contract, message.subject, message.headers, message.body
        )
        delivery = Delivery(
            event_id=envelope.event_id,
            type=envelope.type,
            subject=message.subject,
            consumer=self._name,
            attempt=message.attempt,
            headers=message.headers,
            inbox=self._inbox,
        )
        return subscription, contract, delivery

    async def _handle(self, handler: Handler, contract: Contract, delivery: Delivery) -> None:
        """Run the handler; when what it needs is away, wait and run it again.

        An outage is nobody's fault: it costs no attempt, and it stops this consumer from asking for
        more, as those would only fail too.
        """
        tries = 0
        try:
            while True:
                try:
                    failpoint("consumer.before_effect")
                    async with asyncio.timeout(self._limits.handling_seconds_max):
                        await handler(contract, delivery)
                except (DatabaseUnavailable, BusUnavailable) as error:
                    if tries == 0:
                        self._held_up += 1
                        log.warning("consumer.waits", consumer=self._name, reason=str(error))
                    tries += 1
                    await asyncio.sleep(dependency_wait_seconds(tries))
                else:
                    return
        finally:
            if tries > 0:
                self._held_up -= 1
                self._room.set()

    async def _bury(self, message: Message, reason: str) -> str:
        """Copy to the dead letters, then end the message. Without the copy it is tried again."""
        log.error("consumer.dead_letter", consumer=self._name, reason=reason[:300])
        letter = dead_letter(
            message,
            consumer=self._name,
            reason=reason,
            bytes_max=self._bus.message_bytes_max,
        )
        try:
            await self._bus.publish(letter.subject, letter.body, letter.headers)
        except BusUnavailable:
            await message.nak(delay_seconds=back_off_seconds(message.attempt))
            return "retried"
        await message.term()
        return "dead"


def back_off_seconds(attempt: int) -> float:
    """Doubling from two seconds to ten minutes, a fifth either way so that retries spread."""
    return float(min(BACK_OFF_SECONDS_MAX, 2**attempt) * random.uniform(0.8, 1.2))


def dependency_wait_seconds(tries: int) -> float:
    """Doubling from a quarter of a second to five, with the same spread."""
    return float(min(DEPENDENCY_WAIT_SECONDS_MAX, 2**tries / 8) * random.uniform(0.8, 1.2))
