"""Ports that are named before anybody listens on them."""

import itertools
import socket

import pytest
from seda_testkit import ports
from seda_testkit.ports import FIRST_PORT, free_port


def test_no_port_is_named_twice_before_it_is_used() -> None:
    named = [free_port() for _ in range(500)]
    assert len(set(named)) == 500
    assert all(FIRST_PORT <= port < FIRST_PORT + ports.PORTS for port in named)


def test_a_port_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", taken))
        stranger.listen()
        monkeypatch.setattr(ports, "_turns", itertools.count(taken - FIRST_PORT))
        assert free_port() != taken
