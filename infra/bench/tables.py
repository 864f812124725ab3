"""All figures of all benchmarks as tables in Markdown: medians, the span of the rounds, and ratios
of rounds that belong together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from events import text
from figures import Spread, ratios

FLOORS = {
    "events": ("faststream", "bare insert"),
    "sends": ("node pg",),
    "history": ("ORM selectinload",),
}
"""Beside which variant the others stand, of those that a figure has."""


def tables(reports: Mapping[str, Any]) -> str:
    """Every figure of every benchmark."""
    parts = [
        "# All figures\n\nWritten by `make bench`; what each means is in [methods](methods.md).\n"
    ]
    for name, report in reports.items():
        parts.append(f"## {name}\n\n{_table(name, report)}")
    return "\n".join(parts)


def _table(name: str, report: Any) -> str:
    match name:
        case "fanout":
            return _fanout_tables(report)
        case "reconnect":
            return _grid(list(report[0]), [[_number(v) for v in told.values()] for told in report])
        case "main_flow":
            times = [(k, v["p50"], v["p95"]) for k, v in report.items() if isinstance(v, dict)]
            return _grid(
                ["", "p50 ms", "p95 ms"], [[k, _number(a), _number(b)] for k, a, b in times]
            )
    figures = report["figures"] if isinstance(report, dict) else report
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for figure in figures:
        groups.setdefault(tuple(sorted(figure["rounds"])), []).append(figure)
    return "\n".join(_figures(group, FLOORS.get(name, ())) for group in groups.values())


def _figures(figures: Sequence[Mapping[str, Any]], floors: Sequence[str]) -> str:
    variants = sorted(figures[0]["rounds"])
    floor = next((variant for variant in variants if variant in floors), None)
    others = [variant for variant in variants if floor is not None and variant != floor]
    cells = []
    for figure in figures:
        rounds = figure["rounds"]
        measured = [text(Spread.of(rounds[variant])) for variant in variants]
        beside = [
            text(ratios(rounds[other], rounds[floor])) if min(rounds[floor]) > 0 else ""
            for other in others
        ]
        cells.append([figure["name"], *measured, *beside])
    return _grid(["", *variants, *(f"{other} / {floor}" for other in others)], cells)


def _fanout_tables(report: Mapping[str, Any]) -> str:
    parts = []
    for in_flight, row in report["saturated"].items():
        floors = [floor for floor in ("socketio", "c-coalesce") if floor in row]
        cells = [
            [
                system,
                text(Spread.of(rounds)),
                *(text(ratios(rounds, row[floor])) for floor in floors),
            ]
            for system, rounds in row.items()
        ]
        parts.append(_grid([in_flight, "per CPU second", *(f"x {f}" for f in floors)], cells))
    columns = list(next(iter(report["offered"].values())))
    cells = [
        [system, *(text(Spread.of(values)) for values in row.values())]
        for system, row in report["offered"].items()
    ]
    parts.append(_grid(["300 k/s offered", *columns], cells))
    if report["idle_kib_per_connection"]:
        kib = report["idle_kib_per_connection"].items()
        parts.append(_grid(["idle", "KiB each"], [[name, _number(value)] for name, value in kib]))
    stalled = [[name, _number(value)] for name, value in report["stalled"].items()]
    parts.append(_grid(["five of sixty stalled", ""], stalled))
    return "\n".join(parts)


def _grid(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *cells]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _number(value: Any) -> str:
    return text(one(value)) if isinstance(value, int | float) else str(value)


def one(value: float) -> Spread:
    return Spread(value, value, value)
