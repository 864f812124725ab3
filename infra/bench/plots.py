"""The pictures of the report: what each benchmark's rounds say at the median, ours in one colour.

A picture is written twice, as SVG and as PNG, and the same figures give the same bytes. It is drawn
by matplotlib, which `peers/install.sh` puts where only the benchmarks look.
"""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from latencies import GOALS_MS
from programs import BESIDE

sys.path.append(str(BESIDE))

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

mpl.rcParams.update({"svg.hashsalt": "seda", "svg.fonttype": "none", "font.size": 9})

OURS, OTHERS, LIMIT, GOAL = "#d1495b", "#8d99ae", "#5c677d", "#2b2d42"
LABELS = {
    "seda, sent and committed": "seda, committed too",
    "seda, sent and committed, with PostgreSQL and NATS": "the same with PostgreSQL, NATS",
    "c-coalesce": "C, coalescing (limit)",
    "c-send": "C, a send() each",
    "socketio": "Socket.IO",
    "nest": "NestJS",
    "broadcast": "websockets.broadcast()",
}
OF_OURS = ("seda", "the same", "batcher", "one by one", *GOALS_MS)
DOTS_PER_INCH = 90
Bars = Mapping[str, float]


def draw(reports: Mapping[str, Any], folder: Path) -> None:
    """A picture for every report that is there."""
    folder.mkdir(exist_ok=True)
    for name, drawing in PICTURES.items():
        if name in reports:
            picture = drawing(reports[name])
            picture.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH, metadata={"Software": None})
            picture.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def fanout(report: Mapping[str, Any]) -> Picture:
    parts = [
        (f"deliveries per CPU second, {in_flight}", medians(report["saturated"][in_flight]))
        for in_flight in ("1 in flight", "16 in flight")
    ]
    return panels("A room of 1000", parts, lambda value: f"{value / 1000:,.0f} k")


def sends(figures: Sequence[Mapping[str, Any]]) -> Picture:
    rounds = by_name(figures)
    parts = [
        (f"per second, {senders} senders", medians(rounds[f"sends/s, {senders} at once, 1 room"]))
        for senders in (32, 256)
    ]
    return panels("Durable sends in one room", parts, "{:,.0f}".format)


def history(figures: Sequence[Mapping[str, Any]]) -> Picture:
    rounds = by_name(figures)
    parts = [
        (f"pages per second, {readers} at once", medians(rounds[f"pages/s, {readers} at once"]))
        for readers in (1, 16)
    ]
    return panels("Pages of 50 messages with replies and reactions", parts, "{:,.0f}".format)


def latencies(figures: Sequence[Mapping[str, Any]]) -> Picture:
    """Each with its goal as a line."""
    rounds = by_name(figures)
    times = {name: statistics.median(rounds[f"{name} p95 ms"]["seda"]) for name in GOALS_MS}
    parts = [("p95, ms; the line is the goal", times)]
    picture = panels("Across two processes", parts, "{:.1f}".format)
    axes = picture.axes[0]
    for place, name in enumerate(reversed(GOALS_MS)):
        axes.plot([GOALS_MS[name]] * 2, [place - 0.4, place + 0.4], color=GOAL, linewidth=2)
    return picture


def panels(title: str, parts: Sequence[tuple[str, Bars]], text: Callable[[float], str]) -> Picture:
    """Bars beside bars, the first row on top."""
    rows = max(len(bars) for _, bars in parts)
    picture = Picture(figsize=(4.6 * len(parts) + 0.8, 0.3 * rows + 1.1), layout="constrained")
    picture.suptitle(title, fontsize=11)
    for place, (caption, bars) in enumerate(parts):
        _bars(picture.add_subplot(1, len(parts), place + 1), caption, bars, text)
    return picture


def _bars(axes: Axes, caption: str, bars: Bars, text: Callable[[float], str]) -> None:
    names = list(bars)[::-1]
    drawn = axes.barh(
        names, [bars[name] for name in names], color=[_colour(name) for name in names]
    )
    axes.bar_label(drawn, labels=[text(bars[name]) for name in names], padding=3)
    axes.set_title(caption, fontsize=9)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.margins(x=0.25)


def _colour(label: str) -> str:
    if label.startswith("C, "):
        return LIMIT
    return OURS if label.startswith(OF_OURS) else OTHERS


def by_name(figures: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    return {figure["name"]: figure["rounds"] for figure in figures}


def medians(rounds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """By label, the highest first."""
    values = {LABELS.get(name, name): statistics.median(one) for name, one in rounds.items()}
    return dict(sorted(values.items(), key=lambda item: -item[1]))


PICTURES: dict[str, Callable[[Any], Picture]] = {
    "fanout": fanout,
    "sends": sends,
    "history": history,
    "latencies": latencies,
}
