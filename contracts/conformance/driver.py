"""Lets the conformance kit drive the Python client: `python driver.py`.

Commands come as JSON lines, reports go as JSON lines; README.md beside this file names them.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
from seda_client import (
    Client,
    Connected,
    Happened,
    Lost,
    Options,
    Refused,
    SignedOut,
    SnapshotNeeded,
    Stopped,
    Ticket,
    Waiting,
    connect,
)
from seda_contracts.realtime import Cursor

PREFIX = "/api/v1"


def saw(what: str, **report: Any) -> None:
    sys.stdout.write(json.dumps({"saw": what, **report}, default=str) + "\n")
    sys.stdout.flush()


class Driver:
    def __init__(self) -> None:
        self.http = httpx.AsyncClient(trust_env=False)
        self.open = AsyncExitStack()
        self.tasks: list[asyncio.Task[None]] = []
        self.client: Client
        self.gateway = ""
        self.token = ""

    async def take(self, command: dict[str, Any]) -> None:
        room = UUID(command["room"]) if "room" in command else None
        match command:
            case {"do": "open"}:
                self.gateway, self.token = command["gateway"], command["token"]
                options = Options(time_scale=command["time_scale"])
                self.client = await self.open.enter_async_context(connect(self.source, options))
                self.start(self.watch(self.client))
            case {"do": "follow"}:
                cursor = command.get("cursor")
                self.client.follow(room, Cursor(**cursor) if cursor else None)
            case {"do": "unfollow"}:
                self.client.unfollow(room)
            case {"do": "send", "text": text, "as": name}:
                self.start(answer(name, self.client.send(room, text, cid=command.get("cid"))))
            case {"do": "command", "op": op, "d": d, "as": name}:
                self.start(answer(name, self.client.command(op, room, d)))
            case {"do": "read"}:
                page = await self.ask("GET", f"/chat/rooms/{room}/messages")
                self.client.resume_from(room, Cursor(ep=page["ep"], seq=page["seq"]))
                saw("read", room=room, seq=page["seq"])
            case {"do": "clock"}:
                saw("clock", offset_ms=self.client.clock_offset_ms)
            case {"do": "close"}:
                for task in self.tasks:
                    task.cancel()
                await asyncio.gather(*self.tasks, return_exceptions=True)
                self.tasks.clear()
                await self.open.aclose()
                saw("closed")

    async def source(self) -> Ticket:
        answer = await self.ask("POST", "/realtime/connect")
        return Ticket(answer["url"], ticket=answer.get("ticket"), token=answer.get("token"))

    async def ask(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.http.request(method, self.gateway + PREFIX + path, headers=headers)
        if answer.status_code == 401:
            raise SignedOut
        return answer.raise_for_status().json()

    async def watch(self, client: Client) -> None:
        try:
            async for happening in client.happenings():
                match happening:
                    case Connected(number):
                        saw("connected", number=number)
                    case Happened(room, {"op": "ev", "seq": seq, "t": kind}):
                        saw("event", room=room, seq=seq, t=kind)
                    case SnapshotNeeded(room):
                        saw("snapshot_needed", room=room)
                    case Lost(room, reason):
                        saw("lost", room=room, reason=reason)
                    case Waiting(_, code, source_error):
                        saw("waiting", code=code, source_failed=source_error is not None)
        except Stopped as stopped:
            saw("stopped", code=stopped.code)

    def start(self, work: Any) -> None:
        self.tasks.append(asyncio.create_task(work))


async def answer(name: str, reply: Awaitable[dict[str, Any]]) -> None:
    try:
        saw("reply", **{"as": name}, ok=await reply)
    except Refused as refused:
        saw("reply", **{"as": name}, err={"code": refused.code, "retry": refused.retry})
    except ConnectionError:
        saw("reply", **{"as": name}, err={"code": "connection_lost", "retry": "later"})
    except Stopped:
        saw("reply", **{"as": name}, err={"code": "stopped", "retry": "never"})


async def main() -> None:
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    driver = Driver()
    while line := await lines.readline():
        await driver.take(json.loads(line))
    await driver.http.aclose()


asyncio.run(main())
