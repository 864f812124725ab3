"""The same room on `websockets.broadcast()`, with uvloop."""

import asyncio
import itertools
import json
import time

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

members: set[ServerConnection] = set()
ids = itertools.count(1)


async def take(connection: ServerConnection) -> None:
    members.add(connection)
    try:
        async for message in connection:
            said = json.loads(message)
            event = {
                "type": "message",
                "id": next(ids),
                "room": said["room"],
                "ts": int(time.time() * 1000),
                "text": said["text"],
            }
            broadcast(members, json.dumps(event, separators=(",", ":")))
    finally:
        members.discard(connection)


async def main() -> None:
    async with serve(take, "127.0.0.1", 0, compression=None, backlog=1024) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"port {port}", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main())
