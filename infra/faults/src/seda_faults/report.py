"""What a person reads at the end, and the same as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from seda_faults.running import Result

HEAD = (
    "program",
    "schedule",
    "seed",
    "seconds",
    "acknowledged",
    "committed",
    "lost",
    "doubled",
    "phantom",
    "gaps",
    "late",
    "dead letters",
    "leaked",
    "ghosts",
    "drained",
    "faults",
)


def table(results: Sequence[Result]) -> str:
    rows = [HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def is_right(result: Result) -> bool:
    """The correct program has no violation, a mutant has one at least."""
    return (result.verdict.violations == 0) == (result.mutant is None)


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "mutant": result.mutant,
            "schedule": result.script.name,
            "seed": result.seed,
            "planned": [str(deed) for deed in (*result.script.faults, *result.script.kicks)],
            "failpoints": result.script.failpoints,
            "seconds": round(result.seconds, 1),
            "drained_seconds": result.drained_seconds,
            "faults_injected": result.faults_injected,
            "violations": result.verdict.violations,
            "is_right": is_right(result),
            **asdict(result.verdict),
        }
        for result in results
    ]


def _row(result: Result) -> tuple[str, ...]:
    verdict = result.verdict
    drained = "never" if result.drained_seconds is None else f"{result.drained_seconds:.1f} s"
    counts = (
        result.seed,
        round(result.seconds),
        verdict.acknowledged,
        verdict.committed,
        verdict.lost,
        verdict.doubled,
        verdict.phantom,
        verdict.gaps,
        verdict.late,
        verdict.dead_letters,
        verdict.leaked,
        verdict.ghosts,
        drained,
        result.faults_injected,
    )
    return (result.mutant or "correct", result.script.name, *(str(count) for count in counts))
