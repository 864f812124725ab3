"""The real process: Granian, uvloop, signals; started as production starts it."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from seda_testkit.caller import IDENTITY_HEADER, Caller
from seda_testkit.eventually import eventually
from seda_testkit.ports import free_port
from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from seda_testkit.databases import ServiceDatabase
    from seda_testkit.keys import GatewayKeys
    from seda_testkit.nats import EmbeddedNats

pytestmark = pytest.mark.slow


@asynccontextmanager
async def served(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chat_realtime", "serve",
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def logged(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """The first log line with this event."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        async for line in process.stdout:
            if event.encode() in line:
                return dict(json.loads(line))
    raise AssertionError(f"ended without {event}")


async def test_one_process_serves_http_and_sockets_and_drains_on_sigterm(
    database: "ServiceDatabase", broker: "EmbeddedNats", keys: "GatewayKeys"
) -> None:
    port = free_port()
    environment = {
        "ENV": "development",
        "PORT": str(port),
        "SOCKET_PORT": "0",
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker.url,
        "GATEWAY_URL": keys.gateway_url,
        "DRAIN_WINDOW_SECONDS": "0.5",
    }
    async with served(environment) as process:
        line = await logged(process, "socket.listening")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await eventually(lambda: is_alive(http))
        address = f"ws://127.0.0.1:{line['port']}/api/v1/realtime"
        async with connect(address, compression=None) as client:
            ticket = keys.socket_ticket(uuid4())
            await client.send(json.dumps({"id": 1, "op": "hello", "d": {"ticket": ticket}}))
            ops = [json.loads(await client.recv())["op"] for _ in range(2)]
            assert ops == ["welcome", "ready"]
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            drain = json.loads(await asyncio.wait_for(client.recv(), 10))
            assert drain == {"op": "drain", "in_ms": 0, "resume": True}
            await asyncio.wait_for(client.wait_closed(), 10)
            assert client.close_code == 4012
        await asyncio.wait_for(process.wait(), 20)
        assert time.monotonic() - started < 15


async def test_a_stream_is_drained_before_the_process_goes(
    database: "ServiceDatabase", broker: "EmbeddedNats", keys: "GatewayKeys"
) -> None:
    port = free_port()
    environment = {
        "ENV": "development",
        "PORT": str(port),
        "SOCKET_PORT": "0",
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker.url,
        "GATEWAY_URL": keys.gateway_url,
        "DRAIN_WINDOW_SECONDS": "0.5",
        "SOCKET_TICK_SECONDS": "0.1",
    }
    who = {"user_id": uuid4(), "session_id": uuid4()}
    path = "/api/v1/chat/stream"
    async with (
        served(environment) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        await eventually(lambda: is_alive(http))
        ask = Caller(http, keys, "chat-realtime", **who)
        room = (await ask("POST", "/chat/rooms", json={"name": "lobby"})).json()["id"]
        headers = {IDENTITY_HEADER: keys.identity("chat-realtime", "GET", path, **who)}
        async with http.stream(
            "GET", path, params={"room": room}, headers=headers, timeout=10
        ) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            await heard(lines, '"live"')
            process.send_signal(signal.SIGTERM)
            await heard(lines, '"drain"')
            await heard(lines, '"code":4012')
            assert [line async for line in lines] == [""]
        assert await asyncio.wait_for(process.wait(), 15) == 0


async def heard(lines: AsyncIterator[str], wanted: str) -> None:
    async with asyncio.timeout(10):
        async for line in lines:
            if wanted in line:
                return
    raise AssertionError(f"ended without {wanted}")


async def is_alive(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_two_processes_on_one_port_share_a_room(
    database: "ServiceDatabase", broker: "EmbeddedNats", keys: "GatewayKeys", start_chat: Any
) -> None:
    port = free_port()
    environment = {
        "ENV": "development",
        "PORT": "0",
        "SOCKET_PORT": str(port),
        "SOCKET_REUSE_PORT": "true",
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker.url,
        "GATEWAY_URL": keys.gateway_url,
    }
    async with (
        start_chat() as chat,
        served(environment) as one,
        served(environment) as two,
        AsyncExitStack() as sockets,
    ):
        await asyncio.gather(logged(one, "socket.listening"), logged(two, "socket.listening"))
        ann = chat.person()
        room = await ann.room()
        # The kernel spreads clients over the listeners by a hash of their ports.
        members: list[ClientConnection] = []
        while not all([await sockets_of(one, port), await sockets_of(two, port)]):
            assert len(members) < 20
            address = f"ws://127.0.0.1:{port}/api/v1/realtime"
            client = await sockets.enter_async_context(connect(address, compression=None))
            members.append(client)
            hello = {"id": 1, "op": "hello", "d": {"token": keys.access_token(ann.id)}}
            await client.send(json.dumps(hello))
            await client.send(json.dumps({"id": 2, "op": "room.sub", "room": str(room), "d": {}}))
            await received(client, op="live")
        said = {"cid": str(uuid4()), "text": "to everyone"}
        command = {"id": 3, "op": "msg.send", "room": str(room), "d": said}
        await members[0].send(json.dumps(command))
        heard = [await received(client, op="ev") for client in members]
        assert {event["d"]["text"] for event in heard} == {"to everyone"}
        assert len({event["seq"] for event in heard}) == 1


async def received(client: "ClientConnection", **wanted: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            frame = json.loads(await client.recv())
            if all(frame.get(name) == value for name, value in wanted.items()):
                return dict(frame)


async def sockets_of(process: asyncio.subprocess.Process, port: int) -> int:
    """Established connections to the port that this process, or its child, has accepted."""
    return await asyncio.to_thread(_sockets_of, process.pid, port)


def _sockets_of(pid: int, port: int) -> int:
    pids = [str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    mine = {
        os.readlink(handle)
        for each in pids
        for handle in Path(f"/proc/{each}/fd").iterdir()
        if handle.is_symlink()
    }
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        f"socket:[{row[9]}]" in mine
        for row in rows
        if row[3] == "01" and row[1].endswith(f":{port:04X}")
    )
