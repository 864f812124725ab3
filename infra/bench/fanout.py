"""Measure the fan-out of the socket: deliveries per second of the server's processor.

One room of a thousand. The chat service runs as in production, with rights, numbers, metrics and
deadlines; Socket.IO, a NestJS gateway, `ws`, `websockets.broadcast()` and two C programs do the
bare work beside it. One load in C serves all. Passes alternate, ratios are of one pass.

Usage: python infra/bench/fanout.py [--json FILE] [--quick]
"""

import asyncio
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fanout_ground import (
    Crowd,
    Load,
    Peer,
    Result,
    Seda,
    around,
    compile_programs,
    load,
    peer,
    peer_commands,
    seda,
)
from figures import Spread, ratios

MEMBERS = 1000
PASSES = 5
SECONDS = 0.6
WARM_UP_SECONDS = 0.2
OFFERED_PER_SECOND = 300
OFFERED_SECONDS = 2.0
IDLE_MEMBERS = 5000
IDLE_PER_ROOM = 100
STALLED, HEALTHY = 5, 55
STALLED_MB = 40
STALLED_LETTERS = 2500
STALLED_PER_SECOND = 1500
FULL = "seda, sent and committed"
SYSTEMS_OFFERED = ("seda", "c-coalesce", "socketio")
Rounds = dict[str, dict[str, list[float]]]


async def main(arguments: list[str]) -> None:
    if not compile_programs():
        print("fanout: no C compiler (cc) here, so the load cannot be made: nothing measured")
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    began = time.monotonic()
    is_quick = "--quick" in arguments
    async with around() as (database, broker, postgres):
        async with seda(database, broker, postgres) as ours:
            saturated, offered = await delivering(ours, passes=2 if is_quick else PASSES)
        memory = {} if is_quick else await idle(database, broker, postgres)
        async with seda(database, broker, postgres) as ours:
            stalled = await stalling(ours)
    report = {
        "machine": f"{os.cpu_count()} x {platform.machine()}, Python {platform.python_version()}",
        "run": f"{time.monotonic() - began:.0f} s in all",
        "saturated": saturated,
        "offered": offered,
        "idle_kib_per_connection": memory,
        "stalled": stalled,
    }
    show(saturated, offered, memory, stalled)
    print(f"\n{report['machine']}; {report['run']}")
    if "--json" in arguments:
        path = Path(arguments[arguments.index("--json") + 1])
        await asyncio.to_thread(path.write_text, json.dumps(report, indent=2) + "\n")


async def delivering(ours: Seda, *, passes: int) -> tuple[Rounds, Rounds]:
    """Deliveries per CPU second at one and at sixteen in flight, then times at an offered rate."""
    saturated: Rounds = {}
    offered: Rounds = {}
    async with crowded(ours) as everyone:
        for _ in range(passes):
            for in_flight in (1, 16):
                row = saturated.setdefault(f"{in_flight} in flight", {})
                for server, crowd, by in everyone:
                    await crowd.measure("closed", by, in_flight, WARM_UP_SECONDS)
                    result, cpu, _ = await costing(server, crowd, "closed", by, in_flight, SECONDS)
                    _check(server, result)
                    row.setdefault(server.name, []).append(result.deliveries / cpu)
            for server, crowd, by in everyone:
                if server.name not in SYSTEMS_OFFERED:
                    continue
                result, cpu, _ = await costing(
                    server, crowd, "offer", by, OFFERED_PER_SECOND, OFFERED_SECONDS
                )
                row = offered.setdefault(server.name, {})
                row.setdefault("p50 ms", []).append(result.p50_ms)
                row.setdefault("p99 ms", []).append(result.p99_ms)
                row.setdefault("served p50 ms", []).append(result.served_p50_ms)
                row.setdefault("sent late p50 ms", []).append(result.late_p50_ms)
                row.setdefault("missing", []).append(result.missing)
                row.setdefault("CPU %", []).append(100 * cpu / result.seconds)
                load_percent = 100 * result.cpu_seconds / result.seconds
                row.setdefault("CPU % of the load", []).append(load_percent)
    # Numbers that were only published are not in the database, so sends have a room of their own.
    async with load(await ours.room(MEMBERS), MEMBERS) as crowd:
        for _ in range(passes):
            for in_flight in (1, 16):
                row = saturated[f"{in_flight} in flight"]
                await crowd.measure("closed", "member", in_flight, WARM_UP_SECONDS)
                result, cpu, more = await costing(
                    ours, crowd, "closed", "member", in_flight, SECONDS
                )
                _check(ours, result)
                row.setdefault(FULL, []).append(result.deliveries / cpu)
                with_all = f"{FULL}, with PostgreSQL and NATS"
                row.setdefault(with_all, []).append(result.deliveries / (cpu + more))
    return saturated, offered


@asynccontextmanager
async def crowded(ours: Seda) -> AsyncIterator[list[tuple[Peer, Load, str]]]:
    """Every server with its thousand members in, and by whom its messages come."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        everyone: list[tuple[Peer, Load, str]] = []
        everyone.append((ours, await enter(load(await ours.room(MEMBERS), MEMBERS)), "feed"))
        for name, command in peer_commands().items():
            server = await enter(peer(name, command))
            crowd = await enter(load(server.crowd(MEMBERS), MEMBERS))
            everyone.append((server, crowd, "member"))
        yield everyone


async def costing(
    server: Peer, crowd: Load, kind: str, by: str, amount: float, seconds: float
) -> tuple[Result, float, float]:
    """The result, CPU seconds of the server, and those of what stands behind ours."""
    behind = server.around_cpu_seconds if isinstance(server, Seda) else 0.0
    cpu = server.cpu_seconds
    result = await crowd.measure(kind, by, amount, seconds)
    cpu = server.cpu_seconds - cpu
    return result, cpu, server.around_cpu_seconds - behind if isinstance(server, Seda) else 0.0


async def idle(*behind: object) -> dict[str, float]:
    """KiB of resident memory per connection that says nothing."""
    grown: dict[str, float] = {}
    for name, is_in_room in (("seda", True), ("seda, in no room", False)):
        async with seda(*behind) as ours:  # type: ignore[arg-type]
            few = await ours.rooms(IDLE_PER_ROOM, per_room=IDLE_PER_ROOM, is_in_room=is_in_room)
            crowd = await ours.rooms(IDLE_MEMBERS, per_room=IDLE_PER_ROOM, is_in_room=is_in_room)
            grown[name] = await growth(ours, few, crowd)
    for name, command in peer_commands().items():
        async with peer(name, command) as server:
            few, crowd = server.crowd(IDLE_PER_ROOM), server.crowd(IDLE_MEMBERS)
            grown[name] = await growth(server, few, crowd)
    return grown


async def growth(server: Peer, few: Crowd, crowd: Crowd) -> float:
    """KiB per connection. What a server makes once for whoever comes first is made before."""
    async with load(few, IDLE_PER_ROOM):
        before = server.rss_kib
    async with load(crowd, IDLE_MEMBERS):
        return (server.rss_kib - before) / (IDLE_MEMBERS - IDLE_PER_ROOM)


async def stalling(ours: Seda) -> dict[str, float]:
    """Five members stop reading while forty megabytes pass each of them."""
    members = STALLED + HEALTHY
    async with load(await ours.room(members, letters=STALLED_LETTERS), members) as crowd:
        await crowd.measure("offer", "feed", STALLED_PER_SECOND, 1)
        await crowd.ask(f"stall {STALLED}")
        before = peak = ours.rss_kib
        seconds = STALLED_MB * 1e6 / STALLED_LETTERS / STALLED_PER_SECOND
        passing = asyncio.create_task(crowd.measure("offer", "feed", STALLED_PER_SECOND, seconds))
        while not passing.done():
            await asyncio.wait({passing}, timeout=0.1)
            peak = max(peak, ours.rss_kib)
        result = passing.result()
    return {
        "growth MiB": (peak - before) / 1024,
        "MB per stalled reader": result.sent * STALLED_LETTERS / 1e6,
        "missing at the others": result.missing,
        "p50 ms": result.p50_ms,
        "p99 ms": result.p99_ms,
    }


def _check(server: Peer, result: Result) -> None:
    if result.missing or result.errors or result.closed:
        print(f"fanout: {server.name} lost something: {result}", file=sys.stderr)


def show(
    saturated: Rounds, offered: Rounds, memory: Mapping[str, float], stalled: Mapping[str, float]
) -> None:
    for name, row in saturated.items():
        print(f"\nroom of {MEMBERS}, {name}")
        print(f"{'':44}{'per CPU second':>16}{'x Socket.IO':>24}{'x C coalescing':>24}")
        for system, rounds in row.items():
            cells = [
                _text(ratios(rounds, row[floor])) if floor in row else "-"
                for floor in ("socketio", "c-coalesce")
            ]
            print(f"{system:44}{statistics.median(rounds):16,.0f}{cells[0]:>24}{cells[1]:>24}")
    print(f"\n{OFFERED_PER_SECOND * MEMBERS:,} deliveries/s offered, medians")
    for system, columns in offered.items():
        told = ", ".join(
            f"{name} {statistics.median(values):,.1f}" for name, values in columns.items()
        )
        print(f"{system:44}{told}")
    if memory:
        print(f"\nKiB per idle connection, {IDLE_MEMBERS} of them")
    for system, kib in memory.items():
        print(f"{system:44}{kib:16.1f}")
    print(f"\n{STALLED} of {STALLED + HEALTHY} members stop reading")
    for name, value in stalled.items():
        print(f"{name:44}{value:16.1f}")


def _text(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
