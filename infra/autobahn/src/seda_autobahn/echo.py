"""The product's socket listener in front of an application that says back what it hears.

It takes binary messages and large ones, which the product's own application refuses, because both
are questions to the listener that the suite asks.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chat_realtime.live.framing import BINARY, TEXT, deflated_frame, text_frame
from chat_realtime.live.listener import Connection, Listener, ListenerOptions
from websockets.frames import Frame, Opcode

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""The largest message of the suite (cases 9.1.6 and 9.2.6)."""


class Echo:
    def opened(self, connection: Connection) -> None:
        connection.client = self

    def received(self, connection: Connection, payload: bytes) -> None:
        if connection.deflates:
            connection.write(deflated_frame(payload, TEXT))
        else:
            connection.write(text_frame(payload))

    def received_binary(self, connection: Connection, payload: bytes) -> None:
        if connection.deflates:
            connection.write(deflated_frame(payload, BINARY))
        else:
            connection.write(Frame(Opcode.BINARY, payload).serialize(mask=False))

    def closed(self, connection: Connection) -> None:
        pass

    def paused(self, connection: Connection) -> None:
        pass

    def resumed(self, connection: Connection) -> None:
        pass

    def ticked(self, connection: Connection, now: float) -> None:
        pass


@asynccontextmanager
async def listening(*, deflate: bool = False) -> AsyncIterator[str]:
    """The address to knock at, on a port the kernel gave."""
    options = ListenerOptions(path="/", frame_bytes_max=MESSAGE_BYTES_MAX, deflate=deflate)
    listener = Listener(options, Echo())
    await listener.start()
    try:
        yield f"ws://127.0.0.1:{listener.port}/"
    finally:
        await listener.close()
