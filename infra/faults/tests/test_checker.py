"""A right history passes, and every kind of wrong that is planted in one is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from seda_faults.checker import GHOST_SECONDS_MAX, Verdict, check, out_of_turn
from seda_faults.history import History
from seda_faults.snapshot import Flow, Snapshot, Waiting

ROOM = "room"


def right_history() -> History:
    history = History(seen={"ana": {ROOM: [1, 2, 3]}, "ben": {ROOM: [1, 2, 3]}})
    for kind, key in (("message", "cid-1"), ("edit", "m1 anew"), ("reaction", "m1 ana 🔥")):
        history.invoke(kind, key).outcome = "ok"  # type: ignore[arg-type]
    return history


def right_snapshot() -> Snapshot:
    return Snapshot(
        committed=3,
        flows=[Flow("outboxes → CHAT", ["e1", "e2", "e3"], ["e1", "e2", "e3"])],
        log={ROOM: [1, 2, 3]},
        heads={ROOM: 3},
        waiting=Waiting({"chat.outbox": 0}, {"ledger.entries": 0}),
        stored={"message": ["cid-1"], "edit": ["m1 anew"], "reaction": ["m1 ana 🔥"]},
    )


def judge(history: History | None = None, **changes: Any) -> Verdict:
    return check(history or right_history(), replace(right_snapshot(), **changes))


def flow(arrived: list[str]) -> list[Flow]:
    return [Flow("outboxes → ledger", ["e1", "e2", "e3"], arrived)]


def test_a_right_history_has_no_violation_and_its_sizes_are_told() -> None:
    verdict = judge()
    assert verdict.violations == 0, verdict.reasons
    assert (verdict.acknowledged, verdict.committed) == (3, 3)
    assert verdict.reasons == []


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"flows": flow(["e1", "e3"])}, lambda v: v.lost),
        ({"flows": flow(["e1", "e2", "e2", "e3"])}, lambda v: v.doubled),
        ({"flows": flow(["e1", "e2", "e3", "e4"])}, lambda v: v.phantom),
        ({"stored": {"edit": ["m1 anew"], "reaction": ["m1 ana 🔥"]}}, lambda v: v.lost),
        ({"log": {ROOM: [1, 3]}}, lambda v: v.gaps),
        ({"waiting": Waiting({"chat.outbox": 1}, {})}, lambda v: v.late),
        ({"waiting": Waiting({}, {"ledger.entries": 1})}, lambda v: v.late),
        ({"dead_letters": ["seda.evt.x: undecodable"]}, lambda v: v.dead_letters),
    ],
)
def test_one_planted_wrong_is_counted_once_and_as_nothing_else(
    changes: dict[str, Any], count: Callable[[Verdict], int]
) -> None:
    verdict = judge(**changes)
    assert count(verdict) == verdict.violations == 1
    assert len(verdict.reasons) == 1


def test_an_event_delivered_three_times_too_often_counts_three() -> None:
    assert judge(flows=flow(["e1", "e1", "e1", "e1", "e2", "e3"])).doubled == 3


def test_a_write_nobody_was_told_of_may_be_there_and_may_not() -> None:
    history = right_history()
    history.invoke("message", "cid-2").outcome = "info"
    stored = right_snapshot().stored
    assert judge(history).violations == 0
    assert judge(history, stored={**stored, "message": ["cid-1", "cid-2"]}).violations == 0
    twice = judge(history, stored={**stored, "message": ["cid-1", "cid-2", "cid-2"]})
    assert (twice.doubled, twice.violations) == (1, 1)


def test_a_refused_write_that_is_there_is_a_phantom() -> None:
    history = right_history()
    history.invoke("message", "cid-2").outcome = "fail"
    stored = right_snapshot().stored
    assert judge(history).violations == 0
    assert judge(history, stored={**stored, "message": ["cid-1", "cid-2"]}).phantom == 1


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        ([1, 2, 3], []),
        ([], ["1 of 3 missing", "2 of 3 missing", "3 of 3 missing"]),
        ([1, 3], ["2 of 3 missing"]),
        ([1, 2], ["3 of 3 missing"]),
        ([1, 2, 2, 3], ["2 after 2"]),
        ([1, 3, 2], ["2 after 3"]),
    ],
)
def test_a_listener_has_to_see_every_number_once_and_in_turn(
    seen: list[int], wrong: list[str]
) -> None:
    assert out_of_turn(seen, 3) == wrong
    history = right_history()
    history.seen["ana"][ROOM] = seen
    assert judge(history).gaps == len(wrong)


KICK = "room ben-id"


def kicked_history(heard: list[int]) -> History:
    history = right_history()
    history.invoke("kick", KICK).outcome = "ok"
    history.removed[KICK] = {"ben on process 1": [1], "ben on process 2": heard}
    return history


def judge_kick(heard: list[int]) -> Verdict:
    stored = {**right_snapshot().stored, "kick": [KICK]}
    return judge(kicked_history(heard), stored=stored, kicks={KICK: 2})


@pytest.mark.parametrize(("heard", "leaked"), [([], 0), ([1], 0), ([1, 2], 1), ([1, 2, 3], 2)])
def test_who_was_kicked_hears_neither_the_kick_nor_anything_after_it(
    heard: list[int], leaked: int
) -> None:
    verdict = judge_kick(heard)
    assert (verdict.leaked, verdict.removals) == (leaked, 1)
    assert verdict.violations == leaked


def test_a_kick_that_was_acknowledged_and_did_not_happen_is_lost() -> None:
    verdict = judge(kicked_history([1, 2, 3]))
    assert (verdict.lost, verdict.leaked, verdict.violations) == (1, 0, 1)


@pytest.mark.parametrize(("more_seconds", "ghosts"), [(0.0, 0), (0.1, 1)])
def test_nobody_is_shown_for_longer_than_a_lease_and_five_seconds(
    more_seconds: float, ghosts: int
) -> None:
    history = right_history()
    history.show("cleo", "ana", after_seconds=1.0)
    history.show("cleo", "ana", after_seconds=GHOST_SECONDS_MAX + more_seconds)
    verdict = judge(history)
    assert (verdict.ghosts, verdict.violations, verdict.departures) == (ghosts, ghosts, 1)
