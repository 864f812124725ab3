"""The reference client of the live socket `seda.rt.v1`: come back, miss nothing, send once.

`core` decides and does no I/O; `client` is the thin shell around a WebSocket.
"""

from seda_client.client import Client, Connected, Options, Refused, Stopped, Ticket, connect
from seda_client.core import Happened, Lost, SnapshotNeeded

__all__ = [
    "Client",
    "Connected",
    "Happened",
    "Lost",
    "Options",
    "Refused",
    "SnapshotNeeded",
    "Stopped",
    "Ticket",
    "connect",
]
