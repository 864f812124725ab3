"""What can be set from outside; every limit has a unit and a default."""

from typing import Annotated

import msgspec
from seda_runtime.settings import Port, ServiceSettings, SettingsError


class Settings(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`socket_origins` are the pages that may open a socket, each by its name."""

    socket_host: str | None = None
    """Where the socket listens; the HTTP host when absent."""
    socket_port: Port = 3014
    socket_reuse_port: bool = False
    """Whether other processes may listen on the same port; the kernel spreads the clients."""
    socket_deflate: bool = False
    """Whether messages go compressed to clients that offer permessage-deflate."""
    socket_origins: tuple[str, ...] = ("http://localhost:3000",)
    sockets_per_user_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 20
    streams_max: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 1_000
    """Streams of server-sent events of this process; each counts as a socket of its person."""
    stream_keepalive_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 15
    rooms_per_socket_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    commands_per_second: Annotated[float, msgspec.Meta(gt=0)] = 20
    """Of one socket, after a burst of `commands_burst`."""
    commands_burst: Annotated[int, msgspec.Meta(ge=1)] = 60
    person_messages_per_second: Annotated[float, msgspec.Meta(gt=0)] = 20
    """Of one person over all sockets and HTTP, after a burst of `person_messages_burst`."""
    person_messages_burst: Annotated[int, msgspec.Meta(ge=1)] = 100
    room_messages_per_second: Annotated[float, msgspec.Meta(gt=0)] = 200
    """Kept in one room, after a burst of `room_messages_burst`."""
    room_messages_burst: Annotated[int, msgspec.Meta(ge=1)] = 1_000
    room_typing_per_second: Annotated[float, msgspec.Meta(gt=0)] = 20
    """Hints passed on in one room, after a burst of `room_typing_burst`."""
    room_typing_burst: Annotated[int, msgspec.Meta(ge=1)] = 40
    hellos_waiting_max: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_000
    """Open sockets nobody has been let in on yet; above it handshakes are told to come later."""
    frame_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=65_536)] = 16_384
    hello_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5
    heartbeat_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 25
    heartbeat_grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=300)] = 10
    stall_seconds_max: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5
    ring_events_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 512
    """Newest events of each followed room kept in memory, within `ring_bytes_max` of a room."""
    ring_bytes_max: Annotated[int, msgspec.Meta(ge=65_536, le=64 * 1024 * 1024)] = 512 * 1024
    rings_bytes_max: Annotated[int, msgspec.Meta(ge=65_536, le=4 * 1024**3)] = 64 * 1024 * 1024
    """Of all followed rooms of this process together: their frames, not what Python adds."""
    drain_window_seconds: Annotated[float, msgspec.Meta(ge=0, le=120)] = 5
    presence_lease_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 15
    """How long the people of a process that fell silent are still shown."""
    sweep_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5
    """How often the rooms listened to are compared with the database."""
    socket_tick_seconds: Annotated[float, msgspec.Meta(gt=0, le=5)] = 1
    """How often deadlines of sockets are looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any("*" in origin or origin == "null" for origin in self.socket_origins):
            raise SettingsError("SOCKET_ORIGINS must name each origin, not `*` or `null`")
        plain = [origin for origin in self.socket_origins if not origin.startswith("https://")]
        if self.env == "production" and plain:
            raise SettingsError("SOCKET_ORIGINS must be https in production")
