"""Write the report from what the benchmarks kept: one page of figures beside their goals, pictures,
and the tables of all rounds.

Only what stands between the marks of README.md is written, and only from reports that are in the
folder: a run of one benchmark cannot take figures of another for its own.

Usage: python infra/bench/report.py FOLDER, where the benchmarks' `--json NAME.json` went
"""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plots
from events import text
from figures import Spread, ratios
from latencies import GOALS_MS
from tables import one, tables

PAGE = Path(__file__).parent
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
NAMES = ("main_flow", "events", "sends", "history", "fanout", "latencies", "reconnect")
Reports = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A figure that has a goal. `is_floor`: the goal is the least that is wanted, not the most."""

    what: str
    value: Spread
    goal: float
    is_floor: bool = False

    def __str__(self) -> str:
        is_reached = (
            self.value.median >= self.goal if self.is_floor else self.value.median <= self.goal
        )
        bound = "≥" if self.is_floor else "≤"
        reached = "yes" if is_reached else "**no**"
        return f"| {self.what} | {text(self.value)} | {bound} {self.goal:g} | {reached} |"


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    files = {name: folder / f"{name}.json" for name in NAMES}
    reports = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    page = PAGE / "README.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{summary(reports)}{END}{after}")
    (PAGE / "tables.md").write_text(tables(reports))
    plots.draw(reports, PAGE / "plots")


def machine() -> str:
    """What ran it, from whoever runs this right after."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = f"{os.cpu_count()} cores of {models[0] if models else platform.machine()}"
    return f"{cores}, {memory:.0f} GiB, Linux, Python {platform.python_version()}"


def summary(reports: Reports) -> str:
    lines = [
        f"Measured on {machine()}: the median, and in brackets the lowest and highest round.",
        "",
    ]
    lines += ["| | measured | goal | reached |", "| --- | --- | --- | --- |"]
    lines += map(str, rows(reports))
    return "\n".join(lines) + "\n"


def rows(reports: Reports) -> Iterator[Row]:
    for name, of in (
        ("fanout", fanout),
        ("sends", sends),
        ("history", history),
        ("latencies", latencies),
        ("reconnect", reconnect),
        ("main_flow", main_flow),
    ):
        if name in reports:
            yield from of(reports[name])


def fanout(report: Mapping[str, Any]) -> Iterator[Row]:
    for in_flight, floors in (
        ("1 in flight", {"socketio": 1.5}),
        ("16 in flight", {"socketio": 12, "c-coalesce": 0.7}),
    ):
        row = report["saturated"][in_flight]
        for floor, goal in floors.items():
            if floor in row:
                peer = plots.LABELS[floor]
                value = ratios(row["seda"], row[floor])
                yield Row(f"deliveries per CPU second, {in_flight}, x {peer}", value, goal, True)
    offered = report["offered"]["seda"]
    yield Row("300 k deliveries/s offered, p50 ms", Spread.of(offered["p50 ms"]), 10)
    if "seda" in (idle := report["idle_kib_per_connection"]):
        yield Row("KiB per idle connection", one(idle["seda"]), 12)
    yield Row("five stalled readers, MiB of growth", one(report["stalled"]["growth MiB"]), 5)


def sends(figures: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    rounds = plots.by_name(figures)
    spent = rounds["CPU ms each with PostgreSQL, 32 at once, 1 room"]
    rate = rounds["sends/s, 32 at once, 1 room"]
    for peer, name in (("node pg", "node `pg`"), ("node pg, bare", "node `pg` without checks")):
        if peer in rate:
            value = ratios(spent[peer], spent["batcher"])
            yield Row(f"durable sends per CPU second, 32 senders, x {name}", value, 10, True)
            value = ratios(rate["batcher"], rate[peer])
            yield Row(f"durable sends/s, 32 senders, x {name}", value, 10, True)
    for how, name in (("at 4/s each", "at 4/s each"), ("without a pause", "at once")):
        row = rounds[f"acknowledged p99 ms, 256 {name}, 1 room"]
        yield Row(f"durable sends, 256 senders {how}, p99 ms", Spread.of(row["batcher"]), 20)


def history(figures: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    rounds = plots.by_name(figures)
    for readers in (1, 16):
        row = rounds[f"pages/s, {readers} at once"]
        value = ratios(row["seda"], row["ORM selectinload"])
        yield Row(f"history pages, {readers} at once, x ORM", value, 6, True)


def latencies(figures: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    rounds = plots.by_name(figures)
    for name, goal in GOALS_MS.items():
        yield Row(f"{name}, p95 ms", Spread.of(rounds[f"{name} p95 ms"]["seda"]), goal)


def reconnect(outcomes: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for told in outcomes:
        what = f"{told['clients']} clients back, process {told['how']}"
        yield Row(f"{what}, s", one(told["back_seconds"]), 10)
        yield Row(f"{what}, lost or doubled", one(told["lost"] + told["doubled"]), 0)


def main_flow(report: Mapping[str, Any]) -> Iterator[Row]:
    yield Row("first start with migrations, s", one(report["first_start_seconds"]), 60)
    yield Row("later start, s", one(report["later_start_seconds"]), 8)
    yield Row("idle memory of everything, MB", one(report["idle_memory_mb"]), 1200)
    for name, goal in (
        ("send -> acknowledged", 50),
        ("send -> seen by the other", 100),
        ("send -> card live", 500),
    ):
        yield Row(f"{name.replace('->', '→')}, p95 ms", one(report[name]["p95"]), goal)


if __name__ == "__main__":
    main(sys.argv[1:])
