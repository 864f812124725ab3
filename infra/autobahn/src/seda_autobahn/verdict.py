"""What the suite found, held against what is excused in writing."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

IN_ORDER = frozenset({"OK", "INFORMATIONAL"})
"""Informational cases have no right answer: the suite only notes what was done."""
COMPRESSION = frozenset({"12", "13"})
"""The groups about permessage-deflate, the only ones that may be unimplemented."""


@dataclass(frozen=True, slots=True)
class Case:
    """One answer of the suite, in its own words: OK, NON-STRICT, FAILED and so on."""

    id: str
    behavior: str
    close: str
    """How the connection ended, judged apart from what was said before."""

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]

    @property
    def result(self) -> str:
        """The worse of both."""
        return self.behavior if self.close in IN_ORDER else self.close

    def is_in_order(self, may_lack: frozenset[str] = COMPRESSION) -> bool:
        if self.behavior == "UNIMPLEMENTED":
            return self.group in may_lack
        return self.result in IN_ORDER


@dataclass(frozen=True, slots=True)
class Waiver:
    result: str
    reason: str


def read_cases(index: Mapping[str, Mapping[str, str]]) -> list[Case]:
    """The suite's `index.json` for one agent, in the order of the numbers."""
    cases = [Case(id, entry["behavior"], entry["behaviorClose"]) for id, entry in index.items()]
    return sorted(cases, key=lambda case: [int(part) for part in case.id.split(".")])


def read_waivers(text: str) -> dict[str, Waiver]:
    """By case number. Raises ValueError for one whose reason names no section of the RFC."""
    waivers = {id: Waiver(**entry) for id, entry in tomllib.loads(text).items()}
    for id, waiver in waivers.items():
        if not re.search(r"RFC 6455, \d", waiver.reason):
            raise ValueError(f"the waiver of {id} gives no reason from RFC 6455")
    return waivers


def complaints(
    cases: Sequence[Case],
    waivers: Mapping[str, Waiver],
    *,
    expected: int,
    may_lack: frozenset[str] = COMPRESSION,
) -> list[str]:
    """Why the run is not good, one line each. A waiver that is not needed is one too."""
    found = [] if len(cases) == expected else [f"{len(cases)} cases ran, not {expected}"]
    for case in cases:
        waiver = waivers.get(case.id)
        is_in_order = case.is_in_order(may_lack)
        if not is_in_order and (waiver is None or waiver.result != case.result):
            found.append(f"{case.id}: {case.result}")
        if is_in_order and waiver is not None:
            found.append(f"{case.id}: {case.result}, so its waiver can go")
    return found


def table(cases: Sequence[Case], waivers: Mapping[str, Waiver]) -> str:
    """Counts by group, then every case that is not simply right, by number."""
    kinds = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"]
    lines = [_row("group", "cases", *(kind.lower() for kind in kinds), "failed")]
    groups = list(dict.fromkeys(case.group for case in cases))
    for group in [*groups, "all"]:
        members = [case for case in cases if group in (case.group, "all")]
        counts = Counter(case.result for case in members)
        failed = len(members) - sum(counts[kind] for kind in kinds)
        lines.append(_row(group, len(members), *(counts[kind] for kind in kinds), failed))
    lines.append("")
    for case in cases:
        if case.result not in ("OK", "UNIMPLEMENTED"):
            waiver = waivers.get(case.id)
            lines.append(f"{case.id} {case.result}{': ' + waiver.reason if waiver else ''}")
    if any(case.result == "UNIMPLEMENTED" for case in cases):
        lines.append("12.*, 13.* UNIMPLEMENTED: permessage-deflate is off by default")
    return "\n".join(lines)


def _row(*cells: object) -> str:
    return "".join(f"{cell!s:>15}" if place else f"{cell!s:<6}" for place, cell in enumerate(cells))
