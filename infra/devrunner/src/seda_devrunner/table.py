"""The table people see."""

from collections.abc import Sequence
from typing import Any

HEADINGS = ("service", "state", "url", "pid", "memory", "restarts")


def render(rows: Sequence[dict[str, Any]]) -> str:
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    return "\n".join(_line(line, widths) for line in cells)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  " + "  ".join(padded).rstrip()


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    memory = row["memory_bytes"]
    return (
        row["service"],
        row["state"],
        row["url"],
        str(row["pid"] or "-"),
        f"{memory / 1_048_576:.0f} MB" if memory else "-",
        str(row["restarts"]),
    )
