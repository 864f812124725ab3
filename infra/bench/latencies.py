"""Measure what people notice of each other across two chat processes, under a stated load.

Fifty people in one room, half of them on each process, twenty messages a second in all. Whoever
acts is on one process and whoever notices is on the other, so every figure but the round trip
includes the broker; a message is committed before it is told.

Usage: python infra/bench/latencies.py [--json FILE]
"""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import uvloop
from events import Figure
from fanout_ground import LOAD_CORE, PEOPLE, Seda, around, on_core, seda
from figures import percentile
from seda_client import Ticket
from seda_runtime.ids import uuid7
from seda_testkit.watching import Told, Watcher, watching

PEOPLE_COUNT = 50
MESSAGES_PER_SECOND = 20
SAMPLES = 100
ROUNDS = 3
GOALS_MS = {"delivery": 100, "round trip": 50, "typing": 25, "presence": 75}
"""Of the 95th percentile."""
TYPING_PAUSE_SECONDS = 3.05
"""A socket may hint once in three seconds: so many sockets take turns."""
Sample = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Room:
    """A room and its people, by process."""

    room: UUID
    here: list[Watcher]
    there: list[Watcher]


async def main(arguments: list[str]) -> None:
    figures: dict[str, Figure] = {}
    began = time.monotonic()
    async with full_room() as room:
        for _ in range(ROUNDS):
            talking = asyncio.create_task(talk(room))
            try:
                for name, sample in samples(room).items():
                    times = [await sample() for _ in range(SAMPLES)]
                    for tail in (50, 95):
                        figure = figures.setdefault(
                            f"{name} p{tail} ms", Figure(f"{name} p{tail} ms")
                        )
                        figure.add("seda", 1000 * percentile(times, tail / 100))
            finally:
                talking.cancel()
                await asyncio.gather(talking, return_exceptions=True)
    print(f"machine      {os.cpu_count()} x {platform.machine()}")
    print(f"load         {PEOPLE_COUNT} people, two processes, {MESSAGES_PER_SECOND} messages/s")
    print(f"run          {ROUNDS} rounds of {SAMPLES}, {time.monotonic() - began:.0f} s in all")
    for figure in figures.values():
        spread = figure.spread("seda")
        name = figure.name.rpartition(" p95")[0]
        goal = f"   goal {GOALS_MS[name]}" if name in GOALS_MS else ""
        print(
            f"{figure.name:22} {spread.median:8.2f} ({spread.low:.2f} to {spread.high:.2f}){goal}"
        )
    if arguments[:1] == ["--json"]:
        text = json.dumps([asdict(figure) for figure in figures.values()], indent=2) + "\n"
        await asyncio.to_thread(Path(arguments[1]).write_text, text)


def samples(room: Room) -> dict[str, Sample]:
    """One measurement of each kind, in seconds."""
    actor, witness = room.here[0], room.there[0]
    awake = True
    typists = iter(room.here * SAMPLES)

    async def delivery() -> float:
        cid = str(uuid4())
        seen = noticed(witness, lambda t: t.kind == "message.created" and t.data["cid"] == cid)
        started = time.perf_counter()
        await actor.client.send(room.room, "noticed", cid=cid)
        return await seen - started

    async def round_trip() -> float:
        started = time.perf_counter()
        await actor.client.command("hb", None, {"n": 0, "t0": 0})
        return time.perf_counter() - started

    async def typing() -> float:
        await asyncio.sleep(TYPING_PAUSE_SECONDS / len(room.here))
        seen = noticed(witness, lambda t: t.op == "ep")
        started = time.perf_counter()
        await next(typists).client.command("typing", room.room)
        return await seen - started

    async def presence() -> float:
        nonlocal awake
        awake = not awake
        status = "online" if awake else "idle"
        seen = noticed(
            witness,
            lambda t: (
                t.kind == "presence"
                and any(each["status"] == status for each in t.data["people"])
                and not t.data["whole"]
            ),
        )
        started = time.perf_counter()
        await actor.client.command("presence.set", None, {"status": status})
        return await seen - started

    return {"delivery": delivery, "round trip": round_trip, "typing": typing, "presence": presence}


def noticed(witness: Watcher, wanted: Callable[[Told], bool]) -> "asyncio.Task[float]":
    """When the next one like that is told, of those that have not come yet."""
    first = len(witness.told)

    async def wait() -> float:
        return (await witness.wait_for(wanted, first=first)).at

    return asyncio.create_task(wait())


async def talk(room: Room) -> None:
    """The load beside what is measured."""
    speakers = [*room.here[1:], *room.there[1:]]
    number = 0
    while True:
        number += 1
        speaker = speakers[number % len(speakers)]
        text = f"message {number}, about as long as people write them"
        await speaker.client.send(room.room, text)
        await asyncio.sleep(1 / MESSAGES_PER_SECOND)


@asynccontextmanager
async def full_room() -> AsyncIterator[Room]:
    room, people = uuid7(), [uuid7() for _ in range(PEOPLE_COUNT)]
    async with AsyncExitStack() as stack:
        database, broker, postgres = await stack.enter_async_context(around())
        processes = [
            await stack.enter_async_context(seda(database, broker, postgres)) for _ in range(2)
        ]
        stack.enter_context(on_core(LOAD_CORE))
        admin = await asyncpg.connect(database.admin_url)
        await admin.execute(PEOPLE, room, people)
        await admin.close()
        half = PEOPLE_COUNT // 2
        sides = [
            [await listening(stack, process, person, room) for person in side]
            for process, side in zip(processes, (people[:half], people[half:]), strict=True)
        ]
        yield Room(room, *sides)


async def listening(stack: AsyncExitStack, process: Seda, person: UUID, room: UUID) -> Watcher:
    url = f"ws://127.0.0.1:{process.port}/api/v1/realtime"

    async def source() -> Ticket:
        return Ticket(url, token=process.keys.access_token(person))

    watcher = await stack.enter_async_context(watching(source))
    await watcher.follow(str(room))
    return watcher


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
