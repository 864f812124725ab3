"""The registry tells the truth about the code: what is listed is produced, what is produced listed.

A type that one service waits for and nobody sends looks, from inside both services, like a quiet
day. The code is read, not run: a contract is produced where it is constructed, and consumed where
a Subscription names it.
"""

import ast
from collections.abc import Iterable, Iterator

import pytest
from seda_contracts.registry import REGISTRY, Entry

NAMES = {entry.contract.__name__ for entry in REGISTRY}


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def constructed(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in NAMES:
            yield name_of(node.func)


def subscribed(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) == "Subscription" and node.args:
            yield name_of(node.args[0])


def trees(service) -> list[ast.AST]:
    return [ast.parse(path.read_text()) for path in sorted(service.source.rglob("*.py"))]


def orphans(entries: Iterable[Entry], made: dict[str, set[str]], taken: dict[str, set[str]]):
    """Differences between rows and code; `made` and `taken` are struct names by service."""
    faults = []
    for entry in entries:
        name = entry.contract.__name__
        makers = {service for service, names in made.items() if name in names}
        takers = {service for service, names in taken.items() if name in names}
        listeners = {consumer.partition(".")[0] for consumer in entry.consumers}
        if makers != set(entry.producers):
            faults.append(f"{name}: produced by {sorted(makers)}, listed {entry.producers}")
        if takers != listeners:
            faults.append(f"{name}: consumed by {sorted(takers)}, listed {sorted(listeners)}")
    return faults


def test_services_produce_and_consume_what_the_registry_lists(services) -> None:
    made = {s.name: {n for tree in trees(s) for n in constructed(tree)} for s in services}
    taken = {s.name: {n for tree in trees(s) for n in subscribed(tree)} for s in services}
    assert orphans(REGISTRY, made, taken) == []


def test_every_registered_type_is_documented(root) -> None:
    """A subscriber who is not of this repository has the page and the schema, not the code."""
    page = (root / "infra/docs/events.md").read_text()
    missing = [e.contract.TYPE for e in REGISTRY if f"| [`{e.contract.TYPE}`](" not in page]
    assert missing == []


@pytest.mark.parametrize(
    ("made", "taken", "fault"),
    [
        ({"verification": "CrawlFetch"}, {"crawler": "CrawlFetch"}, "produced by"),
        ({"verification": "CrawlFetch", "crawler": "CrawlFetch"}, {}, "consumed by"),
    ],
)
def test_an_orphan_would_be_seen(made, taken, fault) -> None:
    rows = [entry for entry in REGISTRY if entry.contract.__name__ == "CrawlFetch"]
    found = orphans(rows, {s: {n} for s, n in made.items()}, {s: {n} for s, n in taken.items()})
    assert len(found) == 1
    assert fault in found[0]


def test_production_and_consumption_are_read_from_code() -> None:
    tree = ast.parse(
        "await outbox.add(tx, crawl.CrawlFetch(url=url))\nSubscription(RoomCreated, handler)"
    )
    assert list(constructed(tree)) == ["CrawlFetch"]
    assert list(subscribed(tree)) == ["RoomCreated"]
