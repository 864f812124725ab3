"""TCP ports for programs that must be told theirs before they listen."""

import itertools
import os
import socket

FIRST_PORT = 20_000
PORTS = 12_000
"""Below what Linux (from 32768) and macOS (from 49152) give to whoever asks for any port.

A port that the kernel gave and that nobody holds any more is given again, to a listener on port 0
or to an outgoing connection, while the program it is meant for still starts: with fifteen ports to
a platform that happened once in a few test runs.
"""
_APART = 499
"""Prime to `PORTS`, so that test runs side by side begin far from each other."""

_turns = itertools.count(os.getpid() * _APART)


def free_port() -> int:
    """A port that nobody listens on, and that this process has not named lately."""
    while True:
        port = FIRST_PORT + next(_turns) % PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
