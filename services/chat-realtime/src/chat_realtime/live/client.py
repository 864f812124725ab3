"""One line and the person behind it: what edge, commands and hub share of a client."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

import msgspec
from seda_contracts import realtime
from seda_identity import Principal
from seda_runtime.ids import uuid7

from chat_realtime.live.framing import encode
from chat_realtime.live.hub import Hub
from chat_realtime.live.line import Line
from chat_realtime.live.session import Command, Session
from chat_realtime.presence.domain import DeviceStatus


class Client:
    """One line and the person behind it, once there is one. The hub's member."""

    __slots__ = (
        "connection",
        "deflates",
        "expires_at",
        "id",
        "principal",
        "queue",
        "session",
        "status",
        "warned_of_expiry",
        "worker",
        "write",
    )

    def __init__(self, connection: Line, session: Session) -> None:
        self.id = uuid7()
        self.connection = connection
        self.session = session
        self.write: Callable[[bytes], None] = connection.write
        self.deflates = connection.deflates
        self.principal: Principal | None = None
        self.expires_at: datetime | None = None
        self.warned_of_expiry = False
        self.status: DeviceStatus = "online"
        self.queue: list[Command] = []
        """Short, and mostly empty: a deque would be a tenth of an idle socket."""
        self.worker: asyncio.Task[None] | None = None

    @property
    def user_id(self) -> UUID:
        assert self.principal is not None
        return self.principal.require_user()

    def tell(self, frame: msgspec.Struct) -> None:
        self.connection.send(encode(frame))

    def revoke(self, room: UUID, reason: str) -> None:
        """The person may no longer hear the room; the hub has let go of it already."""
        self.session.leave(room)
        self.tell(realtime.Unsub(room=room, reason=reason))


def devices(hub: Hub, room: UUID) -> Iterator[tuple[UUID, DeviceStatus]]:
    """The sockets of a room as its presence counts them."""
    for member in hub.audience(room) or ():
        assert isinstance(member, Client)
        yield member.user_id, member.status
