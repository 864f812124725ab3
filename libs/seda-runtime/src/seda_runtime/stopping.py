"""Word that the process is about to stop, early enough for answers that have no end of their own.

The server waits for every answer under way before it shuts the application down, and kills a worker
whose answers do not end (`serving.py` gives the word first).
"""

import asyncio
import signal

SIGNAL = signal.SIGUSR1


class Stopping:
    """`app.state.stopping`: begun once, and never taken back."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        self._begun.set()

    async def wait(self) -> None:
        await self._begun.wait()

    def begin_on_signal(self) -> None:
        """Without it the signal ends a worker at once, as it would while one is starting."""
        asyncio.get_running_loop().add_signal_handler(SIGNAL, self.begin)
