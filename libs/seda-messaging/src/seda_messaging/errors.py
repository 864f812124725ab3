"""What can go wrong with the broker, in words that do not depend on its client library."""

from collections.abc import Iterator
from contextlib import contextmanager

from nats.errors import Error as NatsError


class BusUnavailable(ConnectionError):
    """NATS cannot be reached. Whatever is in the outbox leaves later."""


class CredentialRefused(BusUnavailable):
    """NATS does not know this user or key. Waiting does not help."""


class PublishRefused(ValueError):
    """The broker does not take this message, whenever it is sent: it is too big, or its subject is
    malformed or somebody else's.
    """


class PullLost(BusUnavailable):
    """A request for messages has no answer to hope for: the server is away or was restarted, or
    the consumer is gone.
    """


@contextmanager
def unavailable() -> Iterator[None]:
    """Raise what the client library says of a lost connection as BusUnavailable."""
    try:
        yield
    except BusUnavailable:
        raise
    except (TimeoutError, NatsError, OSError) as error:
        raise BusUnavailable(f"NATS: {type(error).__name__}") from error
