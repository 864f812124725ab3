"""A host that fails is left alone, one that asks for a pause gets it, and one probe reopens it."""

import pytest
from track_unfurl.tracks.hosts import FAILURES_MAX, OPEN_SECONDS, HostPaused, Hosts


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def hosts(seconds: Seconds) -> Hosts:
    return Hosts(seconds)


async def is_open(hosts: Hosts, name: str = "a.example") -> bool:
    try:
        async with hosts.place(name):
            return True
    except HostPaused:
        return False


async def test_the_fifth_failure_closes_the_host_and_no_other(hosts: Hosts) -> None:
    for _ in range(FAILURES_MAX - 1):
        hosts.failed("a.example")
    assert await is_open(hosts)
    hosts.failed("a.example")
    assert not await is_open(hosts)
    assert await is_open(hosts, "b.example")


async def test_failures_far_apart_do_not_add_up(hosts: Hosts, seconds: Seconds) -> None:
    for _ in range(FAILURES_MAX * 2):
        hosts.failed("a.example")
        seconds.now += 10
    assert await is_open(hosts)


async def test_one_probe_at_a_time_decides_over_a_closed_host(
    hosts: Hosts, seconds: Seconds
) -> None:
    for _ in range(FAILURES_MAX):
        hosts.failed("a.example")
    seconds.now += OPEN_SECONDS
    async with hosts.place("a.example"):
        assert not await is_open(hosts)
    hosts.failed("a.example")
    assert not await is_open(hosts)
    seconds.now += OPEN_SECONDS
    hosts.succeeded("a.example")
    assert await is_open(hosts)


async def test_a_pause_lasts_as_long_as_was_asked(hosts: Hosts, seconds: Seconds) -> None:
    hosts.pause("a.example", 7)
    seconds.now += 6.9
    assert not await is_open(hosts)
    seconds.now += 0.1
    assert await is_open(hosts)
