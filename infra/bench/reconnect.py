"""Measure a forced reconnect: every client of one process comes back to another at once.

Two real chat processes share a database and a broker. A thousand clients listen on the first while
people talk in their rooms; then it is drained or killed, and all come back with one-use tickets
and their cursors to the second, which has never had a listener in those rooms. Each client checks
every number it hears: nothing may be missing, nothing come twice.

Usage: python infra/bench/reconnect.py [--json FILE]
"""

import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import uvloop
from figures import percentile
from seda_runtime.ids import uuid7
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port
from seda_testkit.postgres import EmbeddedPostgres
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

CLIENTS = 1_000
ROOMS = 5
ROOMS_OF_CLIENT = 2
TALKERS = 10
MESSAGES_PER_SECOND = 10
SECONDS_MAX = 30.0
QUIET_SECONDS = 3.0
"""Longer than PostgreSQL keeps its counters to itself, and the window of comparison."""
ALL_AT_ONCE = 64
"""Handshakes a client machine has under way; it is one process that plays a thousand."""

PEOPLE = """
WITH room AS (
    INSERT INTO chat.room (id, name, is_private, created_by, created_at)
    SELECT id, 'bench', false, ($2::uuid[])[1], now() FROM unnest($1::uuid[]) AS room(id)
    RETURNING id
)
INSERT INTO chat.membership (room_id, user_id, joined_at)
SELECT room.id, person.id, now() FROM room, unnest($2::uuid[]) AS person(id)
"""
TRANSACTIONS = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one forced reconnect was like."""

    how: str
    clients: int
    back_seconds: float
    """From the signal to the process until the last client was live in all its rooms."""
    back_p50_seconds: float
    """Of a client, from its own end to live."""
    back_p99_seconds: float
    transactions: int
    """Of both processes, until the counters were read."""
    transactions_usual: float
    """In a window as long without a reconnect, in which as much was said."""
    replayed: int
    snapshots: int
    lost: int
    doubled: int


@dataclass(slots=True)
class Tally:
    waits: list[float] = field(default_factory=list)
    replayed: int = 0
    snapshots: int = 0
    lost: int = 0
    doubled: int = 0


@dataclass(slots=True)
class Client:
    user_id: UUID
    seqs: dict[str, int]
    """How far each room was heard."""
    live: set[str] = field(default_factory=set)
    is_back: bool = False
    ticket: str = ""
    """Signed ahead: that is the gateway's work and not to be measured here."""

    def hear(self, message: str | bytes, tally: Tally) -> None:
        if str(message).startswith('{"op":"st"'):
            return  # who is there; not numbered
        frame: dict[str, Any] = msgspec.json.decode(message)
        op = frame.get("op")
        if op == "ev":
            room, seq = frame["room"], int(frame["seq"])
            tally.doubled += seq <= self.seqs[room]
            tally.lost += max(0, seq - self.seqs[room] - 1)
            self.seqs[room] = max(seq, self.seqs[room])
        elif op == "live":
            self.live.add(frame["room"])
        elif op == "ready":
            tally.replayed += sum(room["n"] for room in frame["rooms"])
            tally.snapshots += sum(
                room["result"] in ("snapshot", "gone") for room in frame["rooms"]
            )


@dataclass(slots=True)
class Stage:
    """Everybody, the two addresses, and who is to be found at which."""

    keys: GatewayKeys
    address: str
    clients: list[Client]
    tally: Tally
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ALL_AT_ONCE))

    async def stay(self, client: Client) -> None:
        """Come in, listen, and come back when the socket ends."""
        while True:
            ended_at = time.monotonic()
            try:
                await self.listen(client, ended_at)
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                await asyncio.sleep(0.05)

    async def listen(self, client: Client, since: float) -> None:
        client.live.clear()
        async with contextlib.AsyncExitStack() as stack:
            async with self.gate:
                socket = await stack.enter_async_context(opened(self.address))
                cursors = {room: {"ep": "1", "seq": seq} for room, seq in client.seqs.items()}
                hello = {
                    "ticket": client.ticket or self.keys.socket_ticket(client.user_id),
                    "resume": {"rooms": cursors},
                }
                client.ticket = ""
                await socket.send(json.dumps({"id": 1, "op": "hello", "d": hello}))
            while len(client.live) < len(client.seqs):
                client.hear(await socket.recv(), self.tally)
            self.tally.waits.append(time.monotonic() - since)
            client.is_back = True
            async for message in socket:
                client.hear(message, self.tally)

    def heads(self) -> dict[str, int]:
        """How far the slowest client is in each room."""
        heads: dict[str, int] = {}
        for client in self.clients:
            for room, seq in client.seqs.items():
                heads[room] = min(seq, heads.get(room, seq))
        return heads


def opened(address: str) -> connect:
    return connect(
        address,
        subprotocols=[Subprotocol("seda.v1.json")],
        compression=None,
        ping_interval=None,
        open_timeout=SECONDS_MAX,
        proxy=None,
        max_queue=None,
    )


async def main(arguments: list[str]) -> None:
    began = time.monotonic()
    outcomes = []
    with EmbeddedPostgres(durable=True) as postgres, EmbeddedNats() as broker:
        databases = DatabaseFactory(postgres)
        with contextlib.closing(GatewayKeys()) as keys:
            for how in ("drained", "killed"):
                database = databases.clone("chat_realtime", "chat")
                outcomes.append(await measure(how, database, broker.url, keys))
    print(f"machine      {os.cpu_count()} x {platform.machine()}, PostgreSQL with fsync on")
    print(f"run          {time.monotonic() - began:.0f} s in all")
    for outcome in outcomes:
        print(
            f"{outcome.how:12} {outcome.clients} clients back in {outcome.back_seconds:.2f} s "
            f"(each p50 {outcome.back_p50_seconds:.2f} s, p99 {outcome.back_p99_seconds:.2f} s), "
            f"{outcome.transactions} transactions, usual {outcome.transactions_usual:.0f}, "
            f"{outcome.replayed} events replayed, {outcome.snapshots} snapshots, "
            f"{outcome.lost} lost, {outcome.doubled} doubled"
        )
    if arguments[:1] == ["--json"]:
        text = json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n"
        await asyncio.to_thread(Path(arguments[1]).write_text, text)
    if any(outcome.lost or outcome.doubled or outcome.snapshots for outcome in outcomes):
        raise SystemExit("a client did not hear everything once")


async def measure(how: str, database: ServiceDatabase, broker: str, keys: GatewayKeys) -> Outcome:
    admin = await asyncpg.connect(database.admin_url)
    rooms = [str(uuid7()) for _ in range(ROOMS)]
    people = [uuid7() for _ in range(CLIENTS + TALKERS)]
    await admin.execute(PEOPLE, [UUID(room) for room in rooms], people)
    await admin.execute("ANALYZE")
    clients = [
        Client(person, {rooms[(place + n) % ROOMS]: 0 for n in range(ROOMS_OF_CLIENT)})
        for place, person in enumerate(people[:CLIENTS])
    ]

    def everybody_is_back() -> bool:
        return all(client.is_back for client in clients)

    environment = {
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker,
        "GATEWAY_URL": keys.gateway_url,
    }
    async with served(environment) as (leaving, first), served(environment) as (_, second):
        tally = Tally()
        stage = Stage(keys, first, clients, tally)
        staying = [asyncio.create_task(stage.stay(client)) for client in clients]
        await eventually(everybody_is_back, timeout_seconds=SECONDS_MAX)
        talking = asyncio.create_task(talk(keys, second, people[CLIENTS:], rooms))
        try:
            before = await admin.fetchval(TRANSACTIONS)
            await asyncio.sleep(2 * QUIET_SECONDS)
            usual = await admin.fetchval(TRANSACTIONS) - before
            for client in clients:
                client.is_back = False
                client.ticket = keys.socket_ticket(client.user_id)
            tally.waits.clear()
            tally.replayed = 0
            stage.address = second
            before, cut_at = await admin.fetchval(TRANSACTIONS), time.monotonic()
            if how == "drained":
                leaving.terminate()
            else:
                end(leaving)
            await eventually(everybody_is_back, timeout_seconds=SECONDS_MAX)
            back_seconds = time.monotonic() - cut_at
            await asyncio.sleep(max(QUIET_SECONDS, 2 * QUIET_SECONDS - back_seconds))
            spent = await admin.fetchval(TRANSACTIONS) - before
            seconds = max(back_seconds + QUIET_SECONDS, 2 * QUIET_SECONDS)
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        heads = {
            str(row["id"]): row["last_seq"]
            for row in await admin.fetch("SELECT id, last_seq FROM chat.room")
        }
        with contextlib.suppress(AssertionError):
            await eventually(lambda: stage.heads() == heads, timeout_seconds=5)
        behind = sum(heads[room] - seq for client in clients for room, seq in client.seqs.items())
        for task in staying:
            task.cancel()
        await asyncio.gather(*staying, return_exceptions=True)
    await admin.close()
    return Outcome(
        how=how,
        clients=CLIENTS,
        back_seconds=back_seconds,
        back_p50_seconds=percentile(tally.waits, 0.5),
        back_p99_seconds=percentile(tally.waits, 0.99),
        transactions=spent,
        transactions_usual=usual * seconds / (2 * QUIET_SECONDS),
        replayed=tally.replayed,
        snapshots=tally.snapshots,
        lost=tally.lost + behind,
        doubled=tally.doubled,
    )


async def talk(keys: GatewayKeys, address: str, people: list[UUID], rooms: list[str]) -> None:
    """People who take turns, each in the next room, at a steady pace."""
    async with contextlib.AsyncExitStack() as stack:
        sockets: list[ClientConnection] = []
        for person in people:
            socket = await stack.enter_async_context(opened(address))
            ticket = keys.socket_ticket(person)
            await socket.send(json.dumps({"id": 1, "op": "hello", "d": {"ticket": ticket}}))
            sockets.append(socket)
        due = time.monotonic()
        for number in range(int(MESSAGES_PER_SECOND * 4 * SECONDS_MAX)):
            d = {"cid": str(uuid7()), "text": f"message {number}, about as long as usual"}
            command = {"id": 2 + number, "op": "msg.send", "room": rooms[number % ROOMS], "d": d}
            await sockets[number % len(sockets)].send(json.dumps(command))
            due += 1 / MESSAGES_PER_SECOND
            await asyncio.sleep(max(0, due - time.monotonic()))


@asynccontextmanager
async def served(environment: dict[str, str]) -> AsyncIterator[tuple[Process, str]]:
    """A chat process as production starts it, and the address of its socket."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chat_realtime", "serve",
        env={
            "PATH": os.environ["PATH"],
            "ENV": "development",
            "PORT": str(free_port()),
            "SOCKET_PORT": "0",
            **environment,
        },
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    draining = None
    try:
        async with asyncio.timeout(SECONDS_MAX):
            async for line in process.stdout:
                if b"socket.listening" in line:
                    port = json.loads(line)["port"]
                    break
            else:
                raise RuntimeError("the process ended before it listened")
        draining = asyncio.create_task(process.stdout.read())
        yield process, f"ws://127.0.0.1:{port}/api/v1/realtime"
    finally:
        end(process)
        await process.wait()
        if draining is not None:
            await draining


def end(process: Process) -> None:
    """The supervisor together with the worker that has the sockets."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
