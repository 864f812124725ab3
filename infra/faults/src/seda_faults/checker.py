"""Judge a history against a snapshot. Pure: the same two always give the same verdict."""

from collections import Counter
from dataclasses import dataclass, field

from seda_faults.history import History, Kind
from seda_faults.snapshot import Flow, Snapshot
from seda_faults.stage import PRESENCE_LEASE_SECONDS

EXAMPLES_MAX = 3
KINDS: tuple[Kind, ...] = ("sign-up", "message", "edit", "reaction", "kick")
GHOST_SECONDS_MAX = PRESENCE_LEASE_SECONDS + 5.0
"""A lease, a third of it until somebody looks, and a process that was frozen meanwhile."""


@dataclass(slots=True)
class Verdict:
    """Counts of what must not be, and for each a few words on where."""

    acknowledged: int = 0
    committed: int = 0
    removals: int = 0
    """Kicks of people who were listening until then."""
    departures: int = 0
    """People who were still shown when they had gone, so that one could see it end."""
    lost: int = 0
    """Told to a client, or committed, and without effect where it had to have one."""
    doubled: int = 0
    phantom: int = 0
    """Took effect and was never committed."""
    gaps: int = 0
    """Numbers of a room that are missing, or that a listener missed or saw out of turn."""
    late: int = 0
    """Still on its way when the time to drain was over."""
    dead_letters: int = 0
    leaked: int = 0
    """Entries told to who had been removed from the room by them or before them."""
    ghosts: int = 0
    """Views in which somebody is present who has long been gone."""
    reasons: list[str] = field(default_factory=list)

    @property
    def violations(self) -> int:
        arrived_wrong = self.lost + self.doubled + self.phantom + self.gaps
        return arrived_wrong + self.late + self.dead_letters + self.leaked + self.ghosts


def check(history: History, snapshot: Snapshot) -> Verdict:
    verdict = Verdict(acknowledged=history.acknowledged, committed=snapshot.committed)
    for flow in (*acknowledged_writes(history, snapshot), *snapshot.flows):
        _judge_flow(verdict, flow)
    _judge_logs(verdict, snapshot)
    _judge_listeners(verdict, history, snapshot)
    _judge_removals(verdict, history, snapshot)
    _judge_presence(verdict, history)
    verdict.late = snapshot.waiting.total
    if verdict.late:
        verdict.reasons.append(f"late: {snapshot.waiting}")
    verdict.dead_letters = len(snapshot.dead_letters)
    _explain(verdict, "dead letter", "", snapshot.dead_letters)
    return verdict


def acknowledged_writes(history: History, snapshot: Snapshot) -> list[Flow]:
    """Every ok is there once; an info may be, once; a refusal must not."""
    return [
        Flow(
            f"told ok → {kind}s",
            source=history.keys(kind, "ok"),
            arrived=snapshot.stored.get(kind, []),
            allowed=frozenset(history.keys(kind, "info", "invoked")),
        )
        for kind in KINDS
    ]


def _judge_flow(verdict: Verdict, flow: Flow) -> None:
    wanted, arrived = set(flow.source), Counter(flow.arrived)
    lost = sorted(wanted - arrived.keys())
    doubled = sorted(name for name, count in arrived.items() if count > 1)
    phantom = sorted(arrived.keys() - wanted - flow.allowed)
    verdict.lost += len(lost)
    verdict.doubled += sum(arrived[name] - 1 for name in doubled)
    verdict.phantom += len(phantom)
    _explain(verdict, "lost", flow.name, lost)
    _explain(verdict, "doubled", flow.name, doubled)
    _explain(verdict, "phantom", flow.name, phantom)


def _judge_logs(verdict: Verdict, snapshot: Snapshot) -> None:
    for room, head in snapshot.heads.items():
        wrong = out_of_turn(snapshot.log.get(room, []), head)
        verdict.gaps += len(wrong)
        _explain(verdict, "gap", f"log of room {room}", wrong)


def _judge_listeners(verdict: Verdict, history: History, snapshot: Snapshot) -> None:
    for person, rooms in history.seen.items():
        for room, seen in rooms.items():
            wrong = out_of_turn(seen, snapshot.heads[room])
            verdict.gaps += len(wrong)
            _explain(verdict, "gap", f"{person} in room {room}", wrong)


def _judge_removals(verdict: Verdict, history: History, snapshot: Snapshot) -> None:
    for key, devices in history.removed.items():
        removal = snapshot.kicks.get(key)
        if removal is None:
            continue  # nobody was told that it happened, and it did not
        verdict.removals += any(devices.values())
        for device, heard in devices.items():
            leaked = [f"{seq} (removed by {removal})" for seq in heard if seq >= removal]
            verdict.leaked += len(leaked)
            _explain(verdict, "leaked", device, leaked)


def _judge_presence(verdict: Verdict, history: History) -> None:
    verdict.departures = len({gone for gone, _ in history.haunted})
    for (gone, viewer), seconds in history.haunted.items():
        if seconds > GHOST_SECONDS_MAX:
            verdict.ghosts += 1
            _explain(verdict, "ghost", viewer, [f"{gone} {seconds:.1f} s after they went"])


def out_of_turn(seen: list[int], head: int) -> list[str]:
    """What keeps `seen` from being 1, 2, … head: missing, repeated, after a later one."""
    wrong = []
    last = 0
    for seq in seen:
        if seq <= last:
            wrong.append(f"{seq} after {last}")
        last = max(last, seq)
    missing = sorted(set(range(1, head + 1)) - set(seen))
    return wrong + [f"{seq} of {head} missing" for seq in missing]


def _explain(verdict: Verdict, what: str, where: str, names: list[str]) -> None:
    if not names:
        return
    shown = "; ".join(names[:EXAMPLES_MAX])
    more = f" and {len(names) - EXAMPLES_MAX} more" if len(names) > EXAMPLES_MAX else ""
    verdict.reasons.append(f"{what}: {where}{': ' if where else ''}{shown}{more}")
