"""What an application gives to a client, and what it is told."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seda_client.core import Happened, Lost, SnapshotNeeded


class Refused(Exception):
    """The server said no. `retry` says whether it may say yes another time."""

    def __init__(self, failure: Mapping[str, Any]) -> None:
        super().__init__(f"{failure['code']}: {failure.get('msg', '')}")
        self.code = str(failure["code"])
        self.retry = str(failure["retry"])
        self.retry_ms: int | None = failure.get("retry_ms")


class Stopped(Exception):
    """The client will not come back by itself."""

    def __init__(self, code: int | None, meaning: str) -> None:
        super().__init__(f"{code}: {meaning}")
        self.code = code


class SignedOut(Stopped):
    """Raised by a source when nobody is signed in any more: the client stops. Any other error of
    a source is trouble that may pass.
    """

    def __init__(self) -> None:
        super().__init__(None, "signed out")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to connect, and what to say there. `token` instead of a ticket can be refreshed."""

    url: str
    ticket: str | None = None
    token: str | None = None

    def credential(self) -> dict[str, str]:
        given = {"ticket": self.ticket, "token": self.token}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection stands. `number` counts them from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """There is no connection, and the next attempt is that far away. Of those that nobody has read
    only the latest is kept.
    """

    seconds: float
    code: int | None
    """How the connection ended; None when there was none."""
    source_error: Exception | None
    """Why the source gave no ticket, or one that leads nowhere; None when it did its part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`time_scale` shortens, for tests, every wait but the one until a drain."""

    reply_seconds_max: float = 10
    ticket_seconds_max: float = 15
    sends_waiting_max: int = 100
    happenings_waiting_max: int = 10_000
    time_scale: float = 1


Happening = Happened | SnapshotNeeded | Lost | Connected | Waiting
TicketSource = Callable[[], Awaitable[Ticket]]
