"""How long sends take and how they end (mission H-06), for every edge that sends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from seda_runtime.telemetry import counter, histogram

_sent = counter("seda_chat_messages_sent", "Messages by outcome: ok or the kind of refusal.")
_duration = histogram("seda_chat_message_send_duration_seconds", "From command to commit.")


@contextmanager
def measured_send() -> Iterator[None]:
    """Around one send, its commit included."""
    started = time.perf_counter()
    outcome = "ok"
    try:
        yield
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        _sent.add(1, {"outcome": outcome})
        _duration.record(time.perf_counter() - started)
