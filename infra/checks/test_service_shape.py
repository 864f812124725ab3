"""A service looks like every other service, so its files are found without searching."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from seda_contracts.registry import consumed_by

ALWAYS = ("README.md", "pyproject.toml", "requirements.lock", "alembic.ini")
IN_PACKAGE = (
    "__init__.py",
    "__main__.py",
    "app.py",
    "settings.py",
    "problems.py",
    "tables.py",
    "py.typed",
    "migrations/env.py",
)
SLICE = ("domain.py", "operations.py", "store.py", "routes.py")
MIGRATION = re.compile(r"\d{8}_\d{4}_[a-z]+(_[a-z0-9]+)+\.py")


def required_files(package: str, *, consumes: bool) -> list[Path]:
    source = Path("src") / package
    names = [*IN_PACKAGE, *(["consumers.py"] if consumes else [])]
    return [Path(name) for name in ALWAYS] + [source / name for name in names]


def incomplete_slices(files: Iterable[Path]) -> list[str]:
    """Folders (or the flat package) whose operations have no store to keep the SQL in.

    A noun without rules of its own needs no domain.
    """
    by_folder: dict[Path, set[str]] = {}
    for path in files:
        by_folder.setdefault(path.parent, set()).add(path.name)
    return [
        f"{folder}: operations.py stands beside no store.py"
        for folder, names in sorted(by_folder.items())
        if "operations.py" in names
        and "store.py" not in names | by_folder.get(folder.parent, set())
    ]


@pytest.mark.parametrize("index", range(6))
def test_a_service_has_every_file_of_the_common_shape(services, index: int) -> None:
    service = services[index]
    required = required_files(service.package, consumes=bool(consumed_by(service.name)))
    missing = [str(path) for path in required if not (service.folder / path).is_file()]
    assert missing == [], f"{service.name}: every other service has these"
    tests = list((service.folder / "tests").rglob("test_*.py"))
    assert tests, f"{service.name} has no test"


@pytest.mark.parametrize("index", range(6))
def test_the_four_words_appear_flat_or_once_per_noun(services, index: int) -> None:
    service = services[index]
    files = [path.relative_to(service.source) for path in service.source.rglob("*.py")]
    assert incomplete_slices(files) == []
    words = {path.name for path in files}
    assert {"operations.py", "store.py"} <= words, f"{service.name}: where is its {SLICE}?"


def test_a_slice_without_a_store_is_reported() -> None:
    assert incomplete_slices([Path("rooms/operations.py"), Path("rooms/domain.py")]) == [
        "rooms: operations.py stands beside no store.py"
    ]


def test_a_service_that_consumes_needs_consumers() -> None:
    assert Path("src/crawler/consumers.py") in required_files("crawler", consumes=True)
    assert Path("src/crawler/consumers.py") not in required_files("crawler", consumes=False)


def test_migrations_are_named_by_date_number_verb_and_noun(root) -> None:
    """The name is all that is read in a list of revisions at three in the morning."""
    versions = root.glob("services/*/src/*/migrations/versions/*.py")
    odd = [path.name for path in versions if not MIGRATION.fullmatch(path.name)]
    assert odd == []
    assert MIGRATION.fullmatch("20261121_0001_create_room.py")
    assert not MIGRATION.fullmatch("0001_initial.py")
