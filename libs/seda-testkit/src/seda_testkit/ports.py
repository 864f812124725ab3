"""TCP ports for programs that must be told theirs."""

import socket


def free_port() -> int:
    """A port the kernel has just given out. Somebody may take it first: then try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
