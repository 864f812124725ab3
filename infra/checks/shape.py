"""Print the longest functions and files. For feeling, not for enforcing."""

import ast
from collections.abc import Iterator
from pathlib import Path

SHOWN = 15
ROOTS = ("contracts", "libs", "services", "infra")


def main() -> None:
    files: list[tuple[int, str]] = []
    functions: list[tuple[int, str]] = []
    for path in sources():
        text = path.read_text()
        files.append((text.count("\n"), str(path)))
        functions += [(lines, f"{path}:{at} {name}") for lines, at, name in measured(text)]
    for title, rows in (("files", files), ("functions", functions)):
        print(f"longest {title}, in lines")
        for lines, where in sorted(rows, reverse=True)[:SHOWN]:
            print(f"{lines:6} {where}")


def sources() -> Iterator[Path]:
    for root in ROOTS:
        for path in Path(root).rglob("*.py"):
            if not {".venv", "build", "node_modules"} & set(path.parts):
                yield path


def measured(text: str) -> Iterator[tuple[int, int, str]]:
    """Length, first line and name of every function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.lineno, node.name


if __name__ == "__main__":
    main()
