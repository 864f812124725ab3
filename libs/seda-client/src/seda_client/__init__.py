"""The reference client of the live socket `seda.rt.v1`: come back, miss nothing, send once.

`core` decides and does no I/O; `client` is the thin shell around a WebSocket; `application` is what
goes in and comes out; `room_state` is what is known of a room.
"""

from seda_client.application import (
    Connected,
    Options,
    Refused,
    SignedOut,
    Stopped,
    Ticket,
    Waiting,
)
from seda_client.client import Client, connect
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
    "SignedOut",
    "SnapshotNeeded",
    "Stopped",
    "Ticket",
    "Waiting",
    "connect",
]
