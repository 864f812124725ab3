"""The registry is complete, every type has a home, and no key can bend a subject."""

import importlib
import pkgutil
import re
from collections import Counter
from uuid import uuid4

import pytest
import seda_contracts.events
from hypothesis import given
from hypothesis import strategies as st
from seda_contracts.base import Command, Contract, Event, State, UnsafeSubjectKeyError, subject_key
from seda_contracts.events.chat import MessageSent, RoomUpdated
from seda_contracts.events.crawl import CrawlFetch
from seda_contracts.events.unfurl import TrackResolved
from seda_contracts.registry import (
    BY_TYPE,
    CONSUMERS,
    READERS,
    REGISTRY,
    RETIRED,
    Reader,
    produced_by,
)
from seda_contracts.streams import STREAMS


def declared_contracts() -> set[type[Contract]]:
    found: set[type[Contract]] = set()
    for module in pkgutil.iter_modules(seda_contracts.events.__path__):
        names = vars(importlib.import_module(f"seda_contracts.events.{module.name}")).values()
        found |= {n for n in names if isinstance(n, type) and issubclass(n, Contract)}
    return found - {Contract, Event, Command, State}


def test_every_declared_contract_is_in_the_registry_once() -> None:
    registered = [entry.contract for entry in REGISTRY]
    assert set(registered) == declared_contracts()
    assert len(registered) == len(BY_TYPE)


def test_every_registered_type_is_kept_by_exactly_one_stream() -> None:
    for entry in REGISTRY:
        subject = entry.contract.subject_filter()
        homes = [s.name for s in STREAMS for p in s.subjects if subject.startswith(p[:-1])]
        assert homes == [entry.stream.name], subject


def test_every_key_is_a_field_of_its_struct() -> None:
    for entry in REGISTRY:
        assert entry.contract.KEY in entry.contract.__struct_fields__, entry.contract.TYPE


def test_types_name_owner_noun_fact_and_version() -> None:
    for entry in REGISTRY:
        words = entry.contract.TYPE.split(".")
        assert words[-1].startswith("v")
        assert words[-1][1:].isdigit()
        assert all(w.replace("_", "").isalnum() and w.islower() for w in words), words


def test_patience_is_declared_only_for_consumers_that_exist() -> None:
    known = {consumer for entry in REGISTRY for consumer in entry.consumers}
    assert set(CONSUMERS) <= known


def test_a_command_has_exactly_one_consumer() -> None:
    for entry in REGISTRY:
        if issubclass(entry.contract, Command):
            assert len(entry.consumers) == 1, entry.contract.TYPE


def test_a_fact_and_a_snapshot_have_exactly_one_producer() -> None:
    for entry in REGISTRY:
        assert len(set(entry.producers)) == len(entry.producers) >= 1, entry.contract.TYPE
        if not issubclass(entry.contract, Command):
            assert len(entry.producers) == 1, entry.contract.TYPE


def test_work_that_two_services_ask_for_is_listed_by_both() -> None:
    assert CrawlFetch in {entry.contract for entry in produced_by("verification")}
    assert CrawlFetch in {entry.contract for entry in produced_by("crawler")}


def test_a_projection_can_tell_newer_from_older() -> None:
    ranks = {"version", "seq", "card_version", "generated_at"}
    for entry in REGISTRY:
        if entry.delivery_class == "B":
            assert ranks & set(entry.contract.__struct_fields__), entry.contract.TYPE


def test_work_is_class_c_and_nothing_durable_is_best_effort() -> None:
    for entry in REGISTRY:
        assert entry.delivery_class != "D", entry.contract.TYPE
        if issubclass(entry.contract, Command):
            assert entry.delivery_class == "C", entry.contract.TYPE


def test_the_name_of_a_retired_type_is_not_used_again() -> None:
    assert not set(RETIRED) & set(BY_TYPE)


@pytest.mark.parametrize("key", ["", "a.b", "*", ">", "a b", "a\n", "é", "x" * 201, "\x00"])
def test_a_key_that_could_bend_a_subject_is_refused(key: str) -> None:
    with pytest.raises(UnsafeSubjectKeyError):
        subject_key(key)


@given(st.text())
def test_whatever_text_becomes_a_key_stays_one_token(text: str) -> None:
    try:
        key = subject_key(text)
    except UnsafeSubjectKeyError:
        return
    assert not set(key) & set(".*> \t\r\n")


def test_readers_ignore_fields_they_do_not_know() -> None:
    body = (
        b'{"room_id":"%s","changed":[],"seq":1,"updated_at":"2026-01-01T00:00:00Z","new":1}'
        % str(uuid4()).encode()
    )
    assert RoomUpdated.decode(body).seq == 1


def reader_faults(readers: tuple[Reader, ...]) -> list[str]:
    """A name becomes an account, a durable and a part of a variable; events come of one stream."""
    taken = {entry.producer for entry in REGISTRY} | {
        "seda",
        "sys",
        "ops",
        "operator",
        "provisioner",
    }
    faults = [reader.name for reader in readers if not re.fullmatch(r"[a-z][a-z0-9]*", reader.name)]
    faults += [reader.name for reader in readers if reader.name in taken]
    faults += [name for name, count in Counter(r.name for r in readers).items() if count > 1]
    for reader in readers:
        try:
            assert reader.stream
        except LookupError as error:
            faults.append(str(error))
    return faults


def test_readers_from_outside_have_names_of_their_own_and_one_stream() -> None:
    assert reader_faults(READERS) == []
    assert reader_faults((Reader(name="report", contracts=(MessageSent,)),)) == []


@pytest.mark.parametrize(
    "row",
    [
        Reader(name="Report", contracts=(MessageSent,)),
        Reader(name="a.>", contracts=(MessageSent,)),
        Reader(name="operator", contracts=(MessageSent,)),
        Reader(name="crawler", contracts=(MessageSent,)),
        Reader(name="report", contracts=(MessageSent, TrackResolved)),
        Reader(name="report", contracts=()),
    ],
)
def test_a_row_that_would_reach_further_is_a_fault(row: Reader) -> None:
    assert reader_faults((row,))
