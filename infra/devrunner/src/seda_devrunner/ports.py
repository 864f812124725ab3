"""Ports of this run: the wished one where it is free, otherwise one the kernel gives."""

import socket

from seda_testkit.ports import free_port


def choose_port(wished: int) -> int:
    return wished if wished and _is_free(wished) else free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of a platform stopped a moment ago do not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
