"""The way to one client as the edge uses it: a socket, or a stream of server-sent events."""

from collections.abc import Callable
from typing import Any, Protocol


class Line(Protocol):
    """`write` takes whole frames made elsewhere and never raises; `client` is the edge's."""

    client: Any

    @property
    def write(self) -> Callable[[bytes], None]: ...
    @property
    def deflates(self) -> bool:
        """Whether frames are to be compressed for it."""
        ...

    @property
    def is_open(self) -> bool: ...
    @property
    def is_stalled(self) -> bool:
        """The client does not read: what may be left out is."""
        ...

    def send(self, payload: bytes) -> None: ...
    async def writable(self) -> bool:
        """Wait while the client does not read. False when it is gone."""
        ...

    def hold_reading(self, hold: bool) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
