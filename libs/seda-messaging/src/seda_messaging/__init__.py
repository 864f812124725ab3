"""Outbox, inbox and durable consumers on NATS JetStream.

State and event commit together; delivery is at least once and ordered per key; a consumer's effect
happens once because its inbox row commits with it.
"""

from seda_messaging.bus import Bus
from seda_messaging.consumer import Subscription
from seda_messaging.errors import BusUnavailable
from seda_messaging.inbox import Delivery, first_delivery
from seda_messaging.key_value import KeyValueMirror
from seda_messaging.lifespan import run_messaging
from seda_messaging.outbox import Outbox
from seda_messaging.outbox_rows import Prepared
from seda_messaging.reading import PermanentFailure

__all__ = [
    "Bus",
    "BusUnavailable",
    "Delivery",
    "KeyValueMirror",
    "Outbox",
    "PermanentFailure",
    "Prepared",
    "Subscription",
    "first_delivery",
    "run_messaging",
]
