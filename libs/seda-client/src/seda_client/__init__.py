"""The reference client of the live socket `seda.rt.v1`: come back, miss nothing, send once.

`core` decides and does no I/O; `client` is the thin shell around a WebSocket; `room_state` is what
is known of a room.
"""

from seda_client.client import Client, Connected, Options, Refused, Stopped, Ticket, connect
from seda_client.core import Happened, Lost, SnapshotNeeded
from seda_client.room_state import ReadAgain, RoomState

__all__ = [
    "Client",
    "Connected",
    "Happened",
    "Lost",
    "Options",
    "ReadAgain",
    "Refused",
    "RoomState",
    "SnapshotNeeded",
    "Stopped",
    "Ticket",
    "connect",
]
