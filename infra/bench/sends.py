"""Measure durable sends: kept, numbered and told of, one by one and by group commit, and beside a
Node service that keeps each by a transaction.

What is timed is what a chat process does between the edge and the acknowledgement, live signals
included, without HTTP. Publishing the outbox is not: it comes after the acknowledgement, and
`events.py` has its price.

Usage: python infra/bench/sends.py [--json FILE]
"""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg
import uvloop
from chat_realtime.log.operations import Recording
from chat_realtime.messages.batcher import Batcher
from chat_realtime.messages.sending import Draft, Sent, locks_sql, send_messages
from chat_realtime.signals import Signals
from chat_realtime.tables import Table
from events import Figure, show
from figures import percentile
from node_peer import NodePeer
from programs import cpu_seconds
from seda_db import Database
from seda_identity import Principal
from seda_messaging import Bus, Outbox
from seda_runtime.clock import utc_now
from seda_runtime.collector import collect_rarely
from seda_runtime.ids import uuid7
from seda_testkit.databases import DatabaseFactory
from seda_testkit.nats import EmbeddedNats
from seda_testkit.postgres import EmbeddedPostgres

ROUNDS = 5
SECONDS = 0.8
WARM_UP_SECONDS = 0.2
SENDERS = (1, 32, 256)
ROOMS = (1, 100)
CONNECTIONS = 32
"""For the transactions of their own; more would only wait for each other."""
SETTINGS = ("min_wal_size=1GB", "max_wal_size=4GB")
"""As infra/docs/database.md wants it."""
LOG_SEGMENTS = 48
"""Three quarters of a GiB, more than is written between two checkpoints."""
PACE_PER_SECOND = 4
"""What each of the most senders says in the paced rounds: 256 people who never pause for breath."""
ALONE, TOGETHER, NODE, BARE = "one by one", "batcher", "node pg", "node pg, bare"
Send = Callable[[Draft], Awaitable[Sent]]

PEOPLE = """
WITH room AS (
    INSERT INTO chat.room (id, name, is_private, created_by, created_at)
    SELECT id, 'bench', false, ($2::uuid[])[1], now() FROM unnest($1::uuid[]) AS room(id)
    RETURNING id
)
INSERT INTO chat.membership (room_id, user_id, joined_at)
SELECT room.id, person.id, now() FROM room, unnest($2::uuid[]) AS person(id)
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """A migrated database with rooms in which everybody may speak, and a process's parts."""

    admin: asyncpg.Connection
    node: NodePeer
    postgres_pid: int
    db: Database
    recording: Recording
    batcher: Batcher
    rooms: list[UUID]
    people: list[Principal]

    async def clear(self) -> None:
        """No round is slower for the rows that an earlier one left."""
        await self.admin.execute("TRUNCATE chat.message, chat.room_log, chat.outbox CASCADE")
        await self.admin.execute("UPDATE chat.room SET last_seq = 0")

    async def send_alone(self, draft: Draft) -> Sent:
        """A transaction of its own, as it was before the batcher."""
        async with self.db.begin_driver(first=locks_sql([draft])) as tx:
            (sent,) = await send_messages(tx, self.recording, [draft])
        assert isinstance(sent, Sent)
        return sent

    async def check(self, messages: int) -> None:
        """Every acknowledged message is there, and the numbers have no hole."""
        kept = await self.admin.fetchval("SELECT count(*) FROM chat.message")
        numbered = await self.admin.fetchval("SELECT sum(last_seq) FROM chat.room")
        logged = await self.admin.fetchval("SELECT count(*) FROM chat.room_log")
        told = await self.admin.fetchval("SELECT count(*) FROM chat.outbox")
        assert kept == numbered == logged == told == messages


class Measured(NamedTuple):
    """Seconds to the acknowledgement, of every message that was begun within the time; processor
    seconds of the sending process and of PostgreSQL per message, warm-up included.
    """

    times: list[float]
    cpu: float
    postgres_cpu: float


async def main(arguments: list[str]) -> None:
    began = time.monotonic()
    figures: dict[str, Figure] = {}
    paced: dict[str, Figure] = {}

    def add(name: str, variant: str, value: float) -> None:
        figures.setdefault(name, Figure(name)).add(variant, value)

    async with ground() as here:
        collect_rarely()  # as a service does when it has started
        for turn in range(ROUNDS):
            variants = (ALONE, TOGETHER, NODE, BARE)[:: 1 if turn % 2 else -1]
            for rooms in ROOMS:
                for senders in SENDERS:
                    where = f"{senders} at once, {rooms} room{'s' if rooms > 1 else ''}"
                    for variant in variants:
                        measured = await measure(here, variant, senders=senders, rooms=rooms)
                        add(f"sends/s, {where}", variant, len(measured.times) / SECONDS)
                        for tail in (50, 99):
                            took = 1000 * percentile(measured.times, tail / 100)
                            add(f"acknowledged p{tail} ms, {where}", variant, took)
                        add(f"CPU ms each, {where}", variant, 1000 * measured.cpu)
                        spent = 1000 * measured.postgres_cpu
                        add(f"PostgreSQL CPU ms each, {where}", variant, spent)
                        both = 1000 * (measured.cpu + measured.postgres_cpu)
                        add(f"CPU ms each with PostgreSQL, {where}", variant, both)
            measured = await measure(
                here, TOGETHER, senders=max(SENDERS), rooms=1, pace_per_second=PACE_PER_SECOND
            )
            for tail in (50, 99):
                name = (
                    f"acknowledged p{tail} ms, {max(SENDERS)} at {PACE_PER_SECOND}/s each, 1 room"
                )
                took = 1000 * percentile(measured.times, tail / 100)
                paced.setdefault(name, Figure(name)).add(TOGETHER, took)
    print(f"machine      {os.cpu_count()} x {platform.machine()}, PostgreSQL with fsync on")
    print(f"run          {ROUNDS} rounds, {time.monotonic() - began:.0f} s in all")
    show(list(figures.values()), floor=NODE)
    show(list(paced.values()))
    if arguments[:1] == ["--json"]:
        text = (
            json.dumps([asdict(figure) for figure in (figures | paced).values()], indent=2) + "\n"
        )
        await asyncio.to_thread(Path(arguments[1]).write_text, text)


async def measure(
    here: Ground, variant: str, *, senders: int, rooms: int, pace_per_second: float | None = None
) -> Measured:
    """Each sender waits for one acknowledgement before the next message, and for its turn when
    there is a pace.
    """
    await here.clear()
    is_node = variant in (NODE, BARE)
    own = here.node.cpu_seconds if is_node else time.process_time
    spent, spent_there = own(), cpu_seconds(here.postgres_pid, with_children=True)
    if is_node:
        sent, times = await here.node.measure(
            rooms=here.rooms[:rooms],
            people=[person.require_user() for person in here.people[:senders]],
            warm_up_seconds=WARM_UP_SECONDS,
            seconds=SECONDS,
            is_bare=variant == BARE,
        )
    else:
        send: Send = here.send_alone if variant == ALONE else here.batcher.send
        pause = 1 / pace_per_second if pace_per_second else 0
        sent, times = await keep_sending(
            send, here.people[:senders], here.rooms[:rooms], pause_seconds=pause
        )
    spent, spent_there = (
        own() - spent,
        cpu_seconds(here.postgres_pid, with_children=True) - spent_there,
    )
    await here.check(sent)
    return Measured(times, spent / sent, spent_there / sent)


async def keep_sending(
    send: Send, people: Sequence[Principal], rooms: Sequence[UUID], *, pause_seconds: float
) -> tuple[int, list[float]]:
    """With a pause, a message is due a pause after the last one was due, and its time counts from
    there: one that is held up by those before it counts as late.
    """
    times: list[float] = []
    sent = 0
    numbers = count()

    async def one(principal: Principal, due: float, until: float) -> None:
        nonlocal sent
        while (started := due if pause_seconds else time.monotonic()) < until:
            if pause_seconds:
                await asyncio.sleep(due - time.monotonic())
                due += pause_seconds
            number = next(numbers)
            text = f"message {number}, about as long as people write them"
            draft = Draft(
                principal=principal,
                room_id=rooms[number % len(rooms)],
                cid=str(uuid7()),
                text=text,
            )
            await send(draft)
            sent += 1
            if started >= from_:
                times.append(time.monotonic() - started)

    from_ = time.monotonic() + WARM_UP_SECONDS
    async with asyncio.TaskGroup() as tasks:
        for place, principal in enumerate(people):
            due = time.monotonic() + pause_seconds * place / len(people)
            tasks.create_task(one(principal, due, from_ + SECONDS))
    return sent, times


async def use_log_segments(admin: asyncpg.Connection) -> None:
    """Leave log segments to be written again, as there are on any server that has run for an hour.
    Each that has to be made holds everybody up for 50 ms.
    """
    for _ in range(LOG_SEGMENTS):
        await admin.execute("SELECT pg_logical_emit_message(false, 'bench', '')")
        await admin.execute("SELECT pg_switch_wal()")
    await admin.execute("CHECKPOINT")


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    with (
        EmbeddedPostgres(durable=True, settings=SETTINGS) as postgres,
        EmbeddedNats() as broker,
    ):
        database = DatabaseFactory(postgres).clone("chat_realtime", "chat")
        admin = await asyncpg.connect(database.admin_url)
        db = Database(database.app_url, pool_size=CONNECTIONS)
        bus = Bus(broker.url, service="chat-realtime")
        outbox = Outbox(Table.metadata, service="chat-realtime")
        signals = Signals(bus)
        recording = Recording(outbox=outbox, signals=signals, now=utc_now)
        batcher = Batcher(db, recording)
        rooms = [uuid7() for _ in range(max(ROOMS))]
        people = [Principal(user_id=uuid7()) for _ in range(max(SENDERS))]
        await admin.execute(PEOPLE, rooms, [person.user_id for person in people])
        await admin.execute("ANALYZE")
        await use_log_segments(admin)
        await bus.open()
        try:
            async with (
                NodePeer.running(database.app_url, broker.url, connections=CONNECTIONS) as node,
                signals.run(),
                batcher.run(),
            ):
                assert postgres.pid is not None
                yield Ground(admin, node, postgres.pid, db, recording, batcher, rooms, people)
        finally:
            await bus.close()
            await db.close()
            await admin.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
