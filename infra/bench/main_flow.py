"""Measure the main flow as a person notices it, beside the floor of the same machine.

Usage: python infra/bench/main_flow.py [--json FILE]
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import asyncpg
from figures import percentile
from seda_devrunner.checkout import ROOT, StateFolder, load_services
from seda_devrunner.platform import Platform
from seda_devrunner.wiring import Wiring
from seda_testkit.client import Api
from seda_testkit.watching import Told, Watcher
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

PASSWORD = "lanterns-over-water-7"
SENDS = 200
CARDS = 40
WARM_UP = 30
PAUSE_SECONDS = 0.12
"""Between two sends: people talking. A socket may give twenty commands a second."""


@dataclass(slots=True)
class Series:
    """Times of one kind, in milliseconds."""

    name: str
    goal_p95_ms: float | None = None
    floor: str | None = None
    times_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        return percentile(self.times_ms, share)

    @property
    def median(self) -> float:
        return statistics.median(self.times_ms)


async def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="seda-bench-") as folder:
        state = StateFolder(Path(folder))
        state.make()
        async with started(state) as (_, _, first_seconds):
            pass
        async with started(state) as (platform, wiring, later_seconds):
            memory = sum(row["memory_bytes"] or 0 for row in await platform.snapshot())
            series = await measure(platform, wiring)
    facts = {
        "first_start_seconds": round(first_seconds, 1),
        "later_start_seconds": round(later_seconds, 1),
        "idle_memory_mb": round(memory / 1e6),
    }
    show(facts, series)
    if arguments[:1] == ["--json"]:
        figures = {s.name: {"p50": s.median, "p95": s.percentile(0.95)} for s in series.values()}
        text = json.dumps(facts | figures, indent=2) + "\n"
        await asyncio.to_thread(Path(arguments[1]).write_text, text)


@asynccontextmanager
async def started(state: StateFolder) -> AsyncIterator[tuple[Platform, Wiring, float]]:
    """The platform, where its parts are, and how many seconds it took to be ready."""
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "NATS_URL")}
    services = load_services(ROOT / "infra" / "services.toml")
    platform = Platform(services, state, kept, say=lambda _: None)
    began = time.perf_counter()
    try:
        wiring = await platform.start(wished_ports=False)
        yield platform, wiring, time.perf_counter() - began
    finally:
        await platform.stop()


async def measure(platform: Platform, wiring: Wiring) -> dict[str, Series]:
    series = {
        name: Series(name, goal, floor)
        for name, goal, floor in (
            ("commit of one row (floor)", None, None),
            ("echo of one frame (floor)", None, None),
            ("send -> acknowledged", 50.0, "commit of one row (floor)"),
            ("send -> seen by the other", 100.0, "commit of one row (floor)"),
            ("socket round trip", 50.0, "echo of one frame (floor)"),
            ("POST message", 100.0, "commit of one row (floor)"),
            ("GET history", 150.0, None),
            ("login", 200.0, None),
            ("send -> card live", 500.0, None),
        )
    }
    await time_commits(platform.servers.admin_url, series["commit of one row (floor)"])
    await time_echoes(series["echo of one frame (floor)"])
    async with Api.at(wiring.gateway_url) as api:
        run = uuid4().hex[:8]
        email = f"ann-{run}@demo.example"
        ann = await api.sign_up(email, PASSWORD, "Ann")
        ben = await api.sign_up(f"ben-{run}@demo.example", PASSWORD, "Ben")
        room = str((await ann.post("/chat/rooms", {"name": "Bench"}))["id"])
        await ben.post(f"/chat/rooms/{room}/join")
        async with ann.watching() as anns, ben.watching() as bens:
            await anns.follow(room)
            await bens.follow(room)
            await time_sends(anns, bens, room, series)
            await time_cards(anns, bens, room, run, series["send -> card live"])
        await time_http(api, ann, room, email, series)
    return series


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


async def time_commits(admin_url: str, series: Series) -> None:
    connection = await asyncpg.connect(admin_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS bench_floor (body text)")
    for number in range(WARM_UP + SENDS):
        took = await timed(lambda: connection.execute("INSERT INTO bench_floor VALUES ('x')"))
        if number >= WARM_UP:
            series.times_ms.append(took)
    await connection.execute("DROP TABLE bench_floor")
    await connection.close()


async def time_echoes(series: Series) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as client:

            async def once() -> None:
                await client.send("x" * 200)
                await client.recv()

            for number in range(WARM_UP + SENDS):
                took = await timed(once)
                if number >= WARM_UP:
                    series.times_ms.append(took)


async def time_sends(sender: Watcher, other: Watcher, room: str, series: dict[str, Series]) -> None:
    for number in range(WARM_UP + SENDS):
        heard, began = len(other.told), time.perf_counter()
        sent = await sender.send(room, f"message {number}")
        acknowledged = (time.perf_counter() - began) * 1000
        seen = await other.wait_for(partial(is_message, sent["msg"]), first=heard)
        beat = await timed(lambda: sender.client.command("hb", None, {"n": 0, "t0": 0}))
        if number >= WARM_UP:
            series["send -> acknowledged"].times_ms.append(acknowledged)
            series["send -> seen by the other"].times_ms.append((seen.at - began) * 1000)
            series["socket round trip"].times_ms.append(beat)
        await asyncio.sleep(PAUSE_SECONDS)


def is_message(message_id: str, told: Told) -> bool:
    return told.data.get("id") == message_id


async def time_cards(sender: Watcher, other: Watcher, room: str, run: str, series: Series) -> None:
    for number in range(CARDS):
        heard, began = len(other.told), time.perf_counter()
        await sender.send(room, f"http://tunes.example/track/{number % 12 + 1}?at={run}{number}")
        card = await other.wait_for(lambda told: told.kind == "card.attached", first=heard)
        series.times_ms.append((card.at - began) * 1000)
        await asyncio.sleep(PAUSE_SECONDS)


async def time_http(
    api: Api, person: Api, room: str, email: str, series: dict[str, Series]
) -> None:
    path = f"/chat/rooms/{room}/messages"
    for number in range(SENDS // 3):
        body = {"text": f"by post {number}", "cid": str(uuid4())}
        series["POST message"].times_ms.append(await timed(partial(person.post, path, body)))
        series["GET history"].times_ms.append(await timed(lambda: person.get(path)))
    for _ in range(20):
        series["login"].times_ms.append(await timed(lambda: api.log_in(email, PASSWORD)))


def show(facts: dict[str, float], series: dict[str, Series]) -> None:
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):32} {value:10}")
    print(f"\n{'':32} {'p50 ms':>8} {'p95 ms':>8} {'goal':>6} {'x floor p50':>12}")
    for one in series.values():
        floor = series[one.floor].median if one.floor else None
        ratio = f"{one.median / floor:12.1f}" if floor else f"{'':12}"
        goal = f"{one.goal_p95_ms:6.0f}" if one.goal_p95_ms else f"{'':6}"
        print(f"{one.name:32} {one.median:8.2f} {one.percentile(0.95):8.2f} {goal} {ratio}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
