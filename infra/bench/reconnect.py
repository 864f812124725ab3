"""Measure a forced reconnect: every client of one process comes back to another at once.

Two real chat processes share a database and a broker. A thousand clients listen on the first while
people talk in their rooms; then it is drained or killed, and all come back with one-use tickets
and their cursors to the second, which has never had a listener in those rooms. They are the
reference client, back-off included. Every number it hands on is checked: nothing may be missing,
nothing come twice.

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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop
from figures import percentile
from seda_client import Connected, Happened, SnapshotNeeded, Ticket, connect
from seda_contracts.realtime import Cursor
from seda_runtime.ids import uuid7
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from seda_testkit.ports import free_port
from seda_testkit.postgres import EmbeddedPostgres

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
HEADS = "SELECT id, last_seq FROM chat.room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one forced reconnect was like."""

    how: str
    clients: int
    back_seconds: float
    """From the signal to the process until the last client was live in all its rooms."""
    back_p50_seconds: float
    """Of a client, from the signal to live."""
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
class Listener:
    """Somebody with the reference client, which comes back by itself."""

    user_id: UUID
    seqs: dict[UUID, int]
    """How far each room was heard."""
    missed: dict[UUID, int] = field(default_factory=dict)
    """How far the rooms were when this client was connected: it is live when it has that too."""
    is_back: bool = False
    ticket: str = ""
    """Signed ahead: that is the gateway's work and not to be measured here."""
    at_gate: bool = False

    def hear(self, happened: Happened, tally: Tally) -> None:
        if happened.frame["op"] != "ev":
            return  # who is there; not numbered
        room, seq = happened.room, int(happened.frame["seq"])
        tally.doubled += seq <= self.seqs[room]
        tally.lost += max(0, seq - self.seqs[room] - 1)
        tally.replayed += seq <= self.missed.get(room, 0)
        self.seqs[room] = max(seq, self.seqs[room])

    def has_all(self) -> bool:
        return all(self.seqs[room] >= head for room, head in self.missed.items())


@dataclass(slots=True)
class Stage:
    """Everybody, the address that a gateway would give, and how far the rooms have gone."""

    keys: GatewayKeys
    address: str
    listeners: list[Listener]
    tally: Tally
    heads: dict[UUID, int]
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ALL_AT_ONCE))
    cut_at: float = field(default_factory=time.monotonic)

    async def live(self, listener: Listener) -> None:
        async def source() -> Ticket:
            if not listener.at_gate:
                await self.gate.acquire()
                listener.at_gate = True
            ticket, listener.ticket = listener.ticket, ""
            return Ticket(self.address, ticket=ticket or self.keys.socket_ticket(listener.user_id))

        async with connect(source) as client:
            for room, seq in listener.seqs.items():
                client.follow(room, Cursor("1", seq))
            async for happening in client.happenings():
                match happening:
                    case Connected():
                        listener.at_gate = False
                        self.gate.release()
                        listener.missed = {room: self.heads[room] for room in listener.seqs}
                    case Happened():
                        listener.hear(happening, self.tally)
                    case SnapshotNeeded():
                        self.tally.snapshots += 1
                if not listener.is_back and listener.missed and listener.has_all():
                    listener.is_back = True
                    self.tally.waits.append(time.monotonic() - self.cut_at)

    async def talk(self, people: list[UUID]) -> None:
        """People who take turns, each in the next room, at a steady pace."""
        address = self.address
        rooms = list(self.heads)
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for person in people:

                async def source(person: UUID = person) -> Ticket:
                    return Ticket(address, ticket=self.keys.socket_ticket(person))

                clients.append(await stack.enter_async_context(connect(source)))
            due = time.monotonic()
            for number in range(int(MESSAGES_PER_SECOND * 4 * SECONDS_MAX)):
                room, text = rooms[number % ROOMS], f"message {number}, about as long as usual"
                sent = await clients[number % len(clients)].send(room, text)
                self.heads[room] = max(self.heads[room], sent["seq"])
                due += 1 / MESSAGES_PER_SECOND
                await asyncio.sleep(max(0, due - time.monotonic()))


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
    rooms = [uuid7() for _ in range(ROOMS)]
    people = [uuid7() for _ in range(CLIENTS + TALKERS)]
    await admin.execute(PEOPLE, rooms, people)
    await admin.execute("ANALYZE")
    listeners = [
        Listener(person, {rooms[(place + n) % ROOMS]: 0 for n in range(ROOMS_OF_CLIENT)})
        for place, person in enumerate(people[:CLIENTS])
    ]

    def everybody_is_back() -> bool:
        return all(listener.is_back for listener in listeners)

    environment = {
        "DATABASE_URL": database.app_url,
        "NATS_URL": broker,
        "GATEWAY_URL": keys.gateway_url,
    }
    async with served(environment) as (leaving, first), served(environment) as (_, second):
        tally = Tally()
        stage = Stage(keys, first, listeners, tally, dict.fromkeys(rooms, 0))
        living = [asyncio.create_task(stage.live(listener)) for listener in listeners]
        await eventually(everybody_is_back, timeout_seconds=SECONDS_MAX)
        stage.address = second
        living.append(asyncio.create_task(stage.talk(people[CLIENTS:])))
        before = await admin.fetchval(TRANSACTIONS)
        await asyncio.sleep(2 * QUIET_SECONDS)
        usual = await admin.fetchval(TRANSACTIONS) - before
        for listener in listeners:
            listener.is_back, listener.missed = False, {}
            listener.ticket = keys.socket_ticket(listener.user_id)
        tally.waits.clear()
        tally.replayed = 0
        before, stage.cut_at = await admin.fetchval(TRANSACTIONS), time.monotonic()
        if how == "drained":
            leaving.terminate()
        else:
            end(leaving)
        await eventually(everybody_is_back, timeout_seconds=SECONDS_MAX)
        back_seconds = max(tally.waits)
        await asyncio.sleep(max(QUIET_SECONDS, 2 * QUIET_SECONDS - back_seconds))
        spent = await admin.fetchval(TRANSACTIONS) - before
        seconds = max(back_seconds + QUIET_SECONDS, 2 * QUIET_SECONDS)
        await cancelled(living.pop())
        heads = {row["id"]: row["last_seq"] for row in await admin.fetch(HEADS)}
        with contextlib.suppress(AssertionError):
            await eventually(lambda: missing(listeners, heads) == 0)
        behind = missing(listeners, heads)
        await cancelled(*living)
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


def missing(listeners: list[Listener], heads: Mapping[UUID, int]) -> int:
    return sum(heads[room] - seq for each in listeners for room, seq in each.seqs.items())


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
