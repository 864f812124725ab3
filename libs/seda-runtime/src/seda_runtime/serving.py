"""Granian as it is started here: its workers hear of a stop before it is asked of them."""

import multiprocessing
import os
from contextlib import suppress

from granian.server.mp import MPServer

from seda_runtime.stopping import SIGNAL


class Server(MPServer):
    """One that lets answers without an end come to one."""

    def shutdown(self, exit_code: int = 0) -> None:
        for worker in multiprocessing.active_children():
            if worker.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, SIGNAL)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]
