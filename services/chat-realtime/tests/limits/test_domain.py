"""Rates to the moment: what is allowed, how long to wait, and that keys do not pile up."""

import pytest
from chat_realtime.limits.domain import Meter, Rate, RateLimited


def take(meter: Meter, key: str, now: float) -> float:
    wait = meter.wait_seconds(key, now=now)
    if not wait:
        meter.count(key, now=now)
    return wait


def test_a_burst_is_allowed_and_the_next_one_waits() -> None:
    meter = Meter(Rate(2, 3))
    assert [take(meter, "ann", 100.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_who_waits_as_told_is_served_and_no_sooner() -> None:
    meter = Meter(Rate(3, 2))
    now = 1000.0
    for _ in range(50):
        while not (wait := take(meter, "ann", now)):
            pass
        assert meter.wait_seconds("ann", now=now + wait * 0.9) > 0
        now += wait
        assert meter.wait_seconds("ann", now=now) == 0


def test_what_is_refused_costs_nothing() -> None:
    meter = Meter(Rate(1, 1))
    assert take(meter, "ann", 0) == 0
    assert [take(meter, "ann", 0.5) for _ in range(100)] == [0.5] * 100
    assert take(meter, "ann", 1) == 0


def test_a_long_rest_earns_no_more_than_a_burst() -> None:
    meter = Meter(Rate(10, 4))
    take(meter, "ann", 0)
    assert [take(meter, "ann", 1_000) > 0 for _ in range(6)] == [False] * 4 + [True] * 2


def test_keys_do_not_disturb_each_other() -> None:
    meter = Meter(Rate(1, 1))
    take(meter, "ann", 0)
    assert take(meter, "ben", 0) == 0


def test_keys_that_rested_are_forgotten_and_the_number_is_bounded() -> None:
    meter = Meter(Rate(1, 10), keys_max=100)
    for place in range(100):
        take(meter, f"idle {place}", 0)
    take(meter, "ann", 50)
    assert len(meter) == 1
    for place in range(1_000):
        take(meter, f"busy {place}", 50)
    assert len(meter) <= 100
    take(meter, "busy 999", 50)
    assert meter.wait_seconds("busy 999", now=50) == 0


@pytest.mark.parametrize(
    ("seconds", "ms", "whole"), [(0.0001, 1, 1), (1, 1000, 1), (1.001, 1001, 2)]
)
def test_a_refusal_never_names_a_moment_too_early(seconds: float, ms: int, whole: int) -> None:
    refusal = RateLimited(seconds)
    assert (refusal.retry_ms, refusal.retry_after_seconds) == (ms, whole)
