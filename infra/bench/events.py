"""Measure events on their way: how soon, how many, at what price, and what waiting costs.

FastStream does the same work in the same run, in processes of its own. Rounds alternate, so a
machine that is slow for a moment is slow for both.

Usage: python infra/bench/events.py [--json FILE]
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from event_ground import SYSTEMS, Ground, ground
from event_work import new_event, write_row
from figures import Spread, percentile, ratios
from programs import cpu_seconds, running
from seda_db import Database
from seda_messaging import Bus, Outbox, run_messaging
from seda_testkit.eventually import eventually

ROUNDS = 5
EVENTS_PER_SECOND = 100.0
EVENTS_PER_ROUND = 150
WARM_UP = 20
BACKLOG = 2_500
BACKLOG_WARM_UP = 500
"""Taken before the clock starts: imports, connections and prepared statements are not the work."""
WRITERS = (1, 16)
WRITING_SECONDS = 0.6
IDLE_SECONDS = 30.0
SETTLE_SECONDS = 3.0
OURS, THEIRS = SYSTEMS


@dataclass(slots=True)
class Figure:
    """One row of the table: a value per round, for each of the variants that are compared."""

    name: str
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, variant: str, value: float) -> None:
        self.rounds.setdefault(variant, []).append(value)

    def spread(self, variant: str) -> Spread:
        return Spread.of(self.rounds[variant])


async def main(arguments: list[str]) -> None:
    began = time.monotonic()
    async with ground() as here:
        compared = [*await latencies(here), *await throughput(here)]
        idle = await idling(here)
        outbox = await outbox_price(here)
        machine = here.machine()
    machine["run"] = f"{ROUNDS} rounds, {time.monotonic() - began:.0f} s in all"
    for name, value in machine.items():
        print(f"{name:12} {value}")
    show(compared, floor=THEIRS)
    show(idle)
    show(outbox, floor="bare insert")
    if arguments[:1] == ["--json"]:
        figures = [asdict(figure) for figure in (*compared, *idle, *outbox)]
        text = json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n"
        await asyncio.to_thread(Path(arguments[1]).write_text, text)


async def latencies(here: Ground) -> list[Figure]:
    """From the publisher's transaction to the row that the consumer committed.

    FastStream's producer commits and then publishes, with nothing to make good what a crash loses.
    """
    names = ("before the commit", "after the commit")
    figures = {
        (name, tail): Figure(f"publish to effect, from {name}, p{tail} ms")
        for name in names
        for tail in (50, 99)
    }
    for _ in range(ROUNDS):
        for system in SYSTEMS:
            for name, times in zip(names, await latency_round(here, system), strict=True):
                for tail in (50, 99):
                    figures[name, tail].add(system, 1000 * percentile(times, tail / 100))
    return list(figures.values())


async def latency_round(here: Ground, system: str) -> tuple[list[float], list[float]]:
    """Seconds from before and from after the commit, of every event but the first few."""
    await here.clear(system)
    await here.empty_stream()
    consuming = here.places(system, says_what_it_took=True)
    events = EVENTS_PER_ROUND + WARM_UP
    producing = here.places(system, events=events, events_per_second=EVENTS_PER_SECOND)
    async with running(system, "consume", consuming) as consumer:
        await asyncio.wait_for(consumer.ready.wait(), 15)
        async with running(system, "produce", producing) as producer:
            await producer.process.wait()
        took = consumer.said["took"]
        await eventually(lambda: len(took) == events, timeout_seconds=20)
    sent = list(producer.said["sent"].items())[WARM_UP:]
    return (
        [took[message][0] - before for message, (before, _) in sent],
        [took[message][0] - after for message, (_, after) in sent],
    )


async def throughput(here: Ground) -> list[Figure]:
    """One consumer process taking a backlog: an inbox row and an effect per event."""
    per_core = Figure("events/s per core of the consumer")
    wall = Figure("events/s")
    database = Figure("PostgreSQL CPU ms per event")
    await here.empty_stream()
    await here.publish(new_event(seq) for seq in range(BACKLOG))
    for _ in range(ROUNDS):
        for system in SYSTEMS:
            await here.clear(system)
            await here.rewind()
            server = partial(cpu_seconds, here.postgres_pid, with_children=True)
            async with running(system, "consume", here.places(system)) as consumer:
                await here.wait_for_remaining(BACKLOG - BACKLOG_WARM_UP)
                began = time.monotonic(), consumer.cpu_seconds, server()
                events = await here.remaining()
                await here.wait_for_remaining(0)
                ended = time.monotonic(), consumer.cpu_seconds, server()
            seconds, core, postgres = (end - start for start, end in zip(began, ended, strict=True))
            assert await here.effects(system) == BACKLOG
            per_core.add(system, events / core)
            wall.add(system, events / seconds)
            database.add(system, 1000 * postgres / events)
    return [per_core, wall, database]


async def idling(here: Ground) -> list[Figure]:
    """A relay and three durable consumers with nothing to do; FastStream's three consumers."""
    cpu = Figure("idle: CPU % of one core")
    requests = Figure("idle: messages/s to NATS")
    statements = Figure("idle: statements/s to PostgreSQL")
    async with (
        running(OURS, "rest", here.places(OURS)) as ours,
        running(THEIRS, "rest", here.places(THEIRS)) as theirs,
    ):
        programs = dict(zip(SYSTEMS, (ours, theirs), strict=True))
        for program in programs.values():
            await asyncio.wait_for(program.ready.wait(), 15)
        await asyncio.sleep(SETTLE_SECONDS)
        used = {system: program.cpu_seconds for system, program in programs.items()}
        asked, told = await here.messages_by_client(), await here.statements()
        await asyncio.sleep(IDLE_SECONDS)
        asked_later, told_later = await here.messages_by_client(), await here.statements()
        for system, program in programs.items():
            cpu.add(system, 100 * (program.cpu_seconds - used[system]) / IDLE_SECONDS)
            requests.add(system, (asked_later[system] - asked[system]) / IDLE_SECONDS)
            statements.add(system, (told_later[system] - told[system]) / IDLE_SECONDS)
    return [cpu, requests, statements]


async def outbox_price(here: Ground) -> list[Figure]:
    """Transactions of one insert: bare, with an event beside it, and with the relay at work too."""
    figures = []
    for writers in WRITERS:
        rate = Figure(f"transactions/s, {writers} at once")
        client = Figure(f"CPU ms each, {writers} at once")
        server = Figure(f"PostgreSQL CPU ms each, {writers} at once")
        figures += [rate, client, server]
        for _ in range(ROUNDS):
            for variant in ("bare insert", "outbox.add", "published"):
                await here.clear(OURS)
                done, own, postgres = await write(here, writers, variant)
                rate.add(variant, done / WRITING_SECONDS)
                client.add(variant, 1000 * own / done)
                server.add(variant, 1000 * postgres / done)
    return figures


async def write(here: Ground, writers: int, variant: str) -> tuple[int, float, float]:
    """How many were committed, and the CPU seconds of this process and of PostgreSQL for them.

    With the relay, the time until it has published the last one counts as CPU, not as duration.
    """
    database = Database(here.places(OURS).database_url, pool_size=max(WRITERS))
    bus = Bus(here.places(OURS).nats_url, service="writer")
    outbox = Outbox(here.metadata, service="chat-realtime")
    done = 0

    async def keep_writing(until: float, *, with_event: bool) -> None:
        nonlocal done
        while time.monotonic() < until:
            event = new_event(done)
            async with database.begin() as tx:
                await write_row(tx, event)
                if with_event:
                    await outbox.add(tx, event)
            done += 1

    async def all_write(seconds: float) -> None:
        until = time.monotonic() + seconds
        with_event = variant != "bare insert"
        async with asyncio.TaskGroup() as tasks:
            for _ in range(writers):
                tasks.create_task(keep_writing(until, with_event=with_event))

    async def measured() -> tuple[int, float, float]:
        nonlocal done
        await all_write(WRITING_SECONDS / 5)  # connections, prepared statements
        done = 0
        own, server = time.process_time(), cpu_seconds(here.postgres_pid, with_children=True)
        await all_write(WRITING_SECONDS)
        if variant == "published":
            await eventually(partial(here.all_published, OURS), timeout_seconds=30)
        spent = cpu_seconds(here.postgres_pid, with_children=True) - server
        return done, time.process_time() - own, spent

    try:
        if variant != "published":
            return await measured()
        async with run_messaging(bus, outbox, database, ()):
            return await measured()
    finally:
        await database.close()


def show(figures: Sequence[Figure], *, floor: str | None = None) -> None:
    """Medians with the lowest and the highest round, then how they stand to those of the floor."""
    variants = tuple(figures[0].rounds)
    others = [variant for variant in variants if floor is not None and variant != floor]
    heads = [*variants, *(f"{other} / {floor}" for other in others)]
    print(f"\n{'':48}" + "".join(f"{head:>27}" for head in heads))
    for figure in figures:
        cells = [figure.spread(variant) for variant in variants]
        cells += [ratios(figure.rounds[other], figure.rounds[str(floor)]) for other in others]
        print(f"{figure.name:48}" + "".join(f"{text(cell):>27}" for cell in cells))


def text(spread: Spread) -> str:
    """Three digits say all that a measurement of this kind knows."""
    decimals = 0 if spread.median >= 100 else 1 if spread.median >= 10 else 2
    median, low, high = (f"{value:,.{decimals}f}" for value in spread)
    return median if low == high else f"{median} ({low} to {high})"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
