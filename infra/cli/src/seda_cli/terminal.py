"""Everything that is printed goes through here, so nothing from outside can steer a terminal.

A payload, a header or an error of another program may hold escape sequences, line breaks or text
that runs backwards. What is not printable is shown by its code.
"""

import json
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import msgspec

PIPE_COLUMNS = 200
"""Width of a line that nobody looks at directly; COLUMNS overrules it."""
FREE_TEXT_COLUMNS_MIN = 24


def printable(text: str) -> str:
    """The text with every control, format and unassigned character shown as its escape code."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def cut(text: str, columns: int) -> str:
    """As much as fits, ending in an ellipsis when that is not all. Wide characters count twice."""
    taken = 0
    for index, character in enumerate(text):
        taken += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken > columns:
            return text[: max(index - 1, 0)] + "…"
    return text


def columns() -> int:
    return shutil.get_terminal_size((PIPE_COLUMNS, 24)).columns


def say(text: str = "") -> None:
    """One line, at once."""
    print(printable(text), flush=True)


def complain(text: str) -> None:
    """One line beside the output: an error or a remark."""
    print(printable(text), file=sys.stderr, flush=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, free_text: bool) -> None:
    """Aligned columns. With `free_text` the last one is cut to the terminal; ids never are."""
    lines = [headings, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    room = max(FREE_TEXT_COLUMNS_MIN, columns() - sum(widths[:-1]) - 2 * (len(widths) - 1))
    for line in lines:
        last = cut(line[-1], room) if free_text else line[-1]
        cells = [*(c.ljust(width) for c, width in zip(line[:-1], widths, strict=False)), last]
        say("  ".join(cells).rstrip())


def show_json(value: Any, *, indent: int | None = 2) -> None:
    """For machines; ASCII, so it is as safe on a terminal as the rest."""
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=True, indent=indent)
    print(text.replace("\x7f", "\\u007f"), flush=True)


def ask(question: str) -> bool:
    """False where nobody can be asked."""
    if not sys.stdin.isatty():
        return False
    print(printable(question) + " [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
