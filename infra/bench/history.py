"""Measure a page of history: the 50 newest messages before a place, reactions counted, up to three
replies each, as JSON. Ours is one statement; the peer is an ORM with `selectinload`.

Usage: python infra/bench/history.py [--json FILE]
"""

import asyncio
import json
import os
import platform
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import orm_history
import uvloop
from chat_realtime.messages import store
from events import Figure, show
from figures import percentile
from programs import cpu_seconds
from seda_db import Database
from seda_runtime.ids import uuid7
from seda_testkit.databases import DatabaseFactory
from seda_testkit.postgres import EmbeddedPostgres

ROUNDS = 3
SECONDS = 1.0
WARM_UP_SECONDS = 0.2
READERS = (1, 16)
MESSAGES = 40_000
"""With four replies to every fourth: one in two is a reply."""
PEOPLE = 500
PAGE = 50
REPLIES = 3
OURS, ORM = "seda", "ORM selectinload"

PEOPLE_SQL = """
INSERT INTO chat.person (user_id, handle, display_name, version)
SELECT id, 'person' || n, 'Person ' || n, 1
FROM unnest($1::uuid[]) WITH ORDINALITY AS human(id, n)
"""
ROOM_SQL = """
INSERT INTO chat.room (id, name, is_private, created_by, created_at, last_seq)
VALUES ($1, 'bench', false, $2, now(), $3)
"""
# Of eight messages in a row the first is answered by the last four.
MESSAGES_SQL = """
WITH numbered AS (
    SELECT n, id, ($2::uuid[])[1 + n % $3] AS author_id,
           CASE WHEN n % 8 >= 4 THEN ($4::uuid[])[n - n % 8 + 1] END AS parent_id
    FROM unnest($4::uuid[]) WITH ORDINALITY AS made(id, position)
    CROSS JOIN LATERAL (SELECT position::int - 1 AS n) AS counted
)
INSERT INTO chat.message
    (id, room_id, seq, author_id, text, cid, body_sha256, parent_id, created_at)
SELECT id, $1, n + 1, author_id, 'message ' || n || ', about as long as people write them',
       n::text, '', parent_id, now() - ($5 - n) * interval '1 second'
FROM numbered ORDER BY n
"""
# None to six on each message, of three kinds.
REACTIONS_SQL = """
INSERT INTO chat.reaction (message_id, user_id, emoji, added_at)
SELECT message.id, ($1::uuid[])[1 + (message.seq * 7 + k) % $2],
       (ARRAY['👍', '🔥', '🎵'])[1 + k % 3], message.created_at + k * interval '1 second'
FROM chat.message, generate_series(0, 5) AS k
WHERE k < message.seq % 7
"""
Read = Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Ground:
    """A room with a long past."""

    db: Database
    postgres_pid: int
    room_id: UUID
    viewer_id: UUID

    async def ours(self, before_seq: int) -> bytes:
        async with self.db.read_once() as tx:
            found = await store.history(tx, is_platform_admin=False, **self._wanted(before_seq))
        assert found is not None
        _, page = found
        return msgspec.json.encode([item.shown for item in page.items])

    async def orm(self, before_seq: int) -> bytes:
        async with self.db.read() as tx:
            return msgspec.json.encode(await orm_history.history(tx, **self._wanted(before_seq)))

    def _wanted(self, before_seq: int) -> dict[str, Any]:
        return {
            "room_id": self.room_id,
            "viewer_id": self.viewer_id,
            "before_seq": before_seq,
            "limit": PAGE,
            "replies_max": REPLIES,
        }

    async def check(self) -> None:
        """Both read the same page."""
        pages = [json.loads(await read(MESSAGES // 2)) for read in (self.ours, self.orm)]
        ours, theirs = ([essence(message) for message in page] for page in pages)
        assert len(ours) == PAGE
        assert ours == theirs


def essence(message: dict[str, Any]) -> tuple[Any, ...]:
    return (
        message["id"],
        message["text"],
        message["author"]["handle"],
        [(one["emoji"], one["count"], one["mine"]) for one in message["reactions"]],
        message.get("reply_count"),
        [essence(reply) for reply in message.get("replies", ())],
    )


async def main(arguments: list[str]) -> None:
    began = time.monotonic()
    figures: dict[str, Figure] = {}

    def add(name: str, variant: str, value: float) -> None:
        figures.setdefault(name, Figure(name)).add(variant, value)

    async with ground() as here:
        await here.check()
        size = len(await here.ours(MESSAGES))
        for turn in range(ROUNDS):
            variants = [(OURS, here.ours), (ORM, here.orm)]
            for readers in READERS:
                for variant, read in variants if turn % 2 else variants[::-1]:
                    await measure(here, read, readers, WARM_UP_SECONDS)
                    times, cpu, postgres_cpu = await measure(here, read, readers, SECONDS)
                    where = f"{readers} at once"
                    add(f"pages/s, {where}", variant, len(times) / SECONDS)
                    for tail in (50, 99):
                        took = 1000 * percentile(times, tail / 100)
                        add(f"page p{tail} ms, {where}", variant, took)
                    add(f"CPU ms each, {where}", variant, 1000 * cpu)
                    add(f"PostgreSQL CPU ms each, {where}", variant, 1000 * postgres_cpu)
    print(f"machine      {os.cpu_count()} x {platform.machine()}, a page of {size // 1000} kB")
    print(f"run          {ROUNDS} rounds, {time.monotonic() - began:.0f} s in all")
    show(list(figures.values()), floor=ORM)
    if arguments[:1] == ["--json"]:
        text = json.dumps([asdict(figure) for figure in figures.values()], indent=2) + "\n"
        await asyncio.to_thread(Path(arguments[1]).write_text, text)


async def measure(
    here: Ground, read: Read, readers: int, seconds: float
) -> tuple[list[float], float, float]:
    """Seconds of each page, and processor seconds per page, here and in PostgreSQL."""
    times: list[float] = []
    until = time.monotonic() + seconds

    async def one(number: int) -> None:
        choose = random.Random(number)
        while (started := time.monotonic()) < until:
            await read(choose.randrange(MESSAGES // 2, MESSAGES))
            times.append(time.monotonic() - started)

    own, server = time.process_time(), cpu_seconds(here.postgres_pid, with_children=True)
    async with asyncio.TaskGroup() as tasks:
        for number in range(readers):
            tasks.create_task(one(number))
    spent = cpu_seconds(here.postgres_pid, with_children=True) - server
    return times, (time.process_time() - own) / len(times), spent / len(times)


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    with EmbeddedPostgres(durable=True) as postgres:
        database = DatabaseFactory(postgres).clone("chat_realtime", "chat")
        admin = await asyncpg.connect(database.admin_url)
        db = Database(database.app_url, pool_size=max(READERS))
        people = [uuid7() for _ in range(PEOPLE)]
        messages = [uuid7() for _ in range(MESSAGES)]
        room_id = uuid7()
        try:
            await admin.execute(PEOPLE_SQL, people)
            await admin.execute(ROOM_SQL, room_id, people[0], MESSAGES)
            await admin.execute(MESSAGES_SQL, room_id, people, PEOPLE, messages, MESSAGES)
            await admin.execute(REACTIONS_SQL, people, PEOPLE)
            await admin.execute("VACUUM ANALYZE")
            assert postgres.pid is not None
            yield Ground(db, postgres.pid, room_id, people[0])
        finally:
            await db.close()
            await admin.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
