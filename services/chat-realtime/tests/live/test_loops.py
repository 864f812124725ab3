"""The port on the loop of the standard library, which serves where uvloop cannot be had."""

import asyncio
from typing import Any

from websockets.asyncio.client import connect


def test_the_port_serves_on_a_plain_asyncio_loop(listening: Any) -> None:
    async def talk() -> None:
        assert type(asyncio.get_running_loop()).__module__.startswith("asyncio.")
        async with listening() as (listener, edge):
            url = f"ws://127.0.0.1:{listener.port}/api/v1/realtime"
            async with connect(url, compression=None) as client:
                await client.send("hello")
                assert await asyncio.wait_for(client.recv(), 5) == "hello"
                client.transport.pause_reading()
                while "paused" not in edge.events:
                    edge.connections[0].send(b"x" * 60_000)
                client.transport.resume_reading()
                await edge.heard("resumed")
                edge.connections[0].close(4012, "drained")
                await asyncio.wait_for(client.wait_closed(), 5)
                assert client.close_code == 4012
            assert edge.events == ["opened", "paused", "resumed", "closed"]

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(talk())
