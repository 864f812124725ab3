"""The limiter at its bounds, with time passed in."""

import pytest
from auth_gateway.limits.domain import LimitClass, Limiter, client_address, network_of

LIMIT = LimitClass(name="default", requests_max=100, window_seconds=60)


def test_attack_085_the_hundred_and_first_request_in_a_moment_is_refused() -> None:
    limiter = Limiter(LIMIT)
    taken = [limiter.take("nina", now=1_000.0) for _ in range(101)]
    assert [decision.allowed for decision in taken] == [True] * 100 + [False]
    assert [taken[0].remaining, taken[98].remaining, taken[99].remaining] == [99, 1, 0]
    assert taken[100].retry_after_seconds == 1
    assert taken[100].reset_seconds == 60


def test_a_refused_request_costs_nothing() -> None:
    limiter = Limiter(LIMIT)
    for _ in range(500):
        limiter.take("nina", now=1_000.0)
    assert limiter.take("nina", now=1_000.7).allowed
    assert not limiter.take("nina", now=1_000.7).allowed


def test_the_allowance_is_whole_again_after_the_window() -> None:
    limiter = Limiter(LIMIT)
    for _ in range(100):
        limiter.take("nina", now=1_000.0)
    assert limiter.take("nina", now=1_060.0).remaining == 99


def test_one_caller_does_not_spend_the_allowance_of_another() -> None:
    limiter = Limiter(LIMIT)
    for _ in range(101):
        limiter.take("nina", now=1_000.0)
    assert limiter.take("otto", now=1_000.0).remaining == 99


def test_the_memory_of_callers_is_bounded() -> None:
    limiter = Limiter(LIMIT, callers_max=10)
    for number in range(1_000):
        limiter.take(str(number), now=1_000.0)
    assert len(limiter._whole_at) == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("not an address", "", True),
    ],
)
def test_attack_084_a_household_is_one_bucket(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "expected"),
    [
        ("198.51.100.1", 0, "10.0.0.1"),
        ("198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.9, 198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.9, 198.51.100.1, 10.0.0.9", 2, "198.51.100.1"),
        ("198.51.100.1", 2, "10.0.0.1"),
        (None, 1, "10.0.0.1"),
    ],
)
def test_attack_083_only_what_our_own_proxies_wrote_is_believed(
    forwarded_for: str | None, hops: int, expected: str
) -> None:
    assert client_address("10.0.0.1", forwarded_for, trusted_hops=hops) == expected
