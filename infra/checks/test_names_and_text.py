"""Names that say something, and text that is true on every machine."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "service", "manager"})
TOP_LEVEL = frozenset(
    {
        "services",
        "libs",
        "contracts",
        "infra",
        "helm",
        "compose.yaml",
        "Makefile",
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "requirements.lock",
    }
)
MACHINE_PATH = re.compile(r"(?<![\w.:/$}-])/(work|farm|root|home|Users)/[A-Za-z._-]+")
REGISTRY_HOST = re.compile(
    r"pypi[.]org|python[h]osted|npmjs[.](org|com)|deb[.]debian[.]org|index-url\s+http",
    re.IGNORECASE,
)

ATTACK = re.compile(r"def test_attack_(\d{3})(?:_(to|and)_(\d{3}))?_\w")
ATTACKS_TESTED = frozenset({*range(51, 67), *range(96, 108)})
"""Rights of people, sockets and events: every row of the list of threats is tried by name."""


def empty_names(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths if path.suffix == ".py" and path.stem in EMPTY_NAMES]


def strangers(paths: Iterable[Path]) -> set[str]:
    tops = {path.parts[0] for path in paths}
    return {name for name in tops if name not in TOP_LEVEL and not name.startswith(".")}


def lines_matching(pattern: re.Pattern[str], texts: Mapping[Path, str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def texts(root: Path, paths: Iterable[Path]) -> dict[Path, str]:
    contents = {path: (root / path).read_bytes() for path in paths}
    return {
        path: content.decode(errors="replace")
        for path, content in contents.items()
        if b"\0" not in content
    }


def attacks_named(contents: Iterable[str]) -> set[int]:
    found = set()
    for first, word, last in (match for text in contents for match in ATTACK.findall(text)):
        numbers = (
            range(int(first), int(last) + 1) if word == "to" else (int(first), int(last or first))
        )
        found.update(numbers)
    return found


def test_no_module_has_a_name_that_says_nothing(paths) -> None:
    """A utils.py grows until nobody dares to touch it: name the noun that the code is about."""
    assert empty_names(paths) == []


def test_a_utils_module_would_be_seen() -> None:
    assert empty_names([Path("libs/x/src/x/utils.py"), Path("services/crawler/README.md")]) == [
        "libs/x/src/x/utils.py"
    ]


def test_nothing_new_stands_at_the_top(paths) -> None:
    """The top level was fixed with the person this is built for; put new things one level down."""
    assert strangers(paths) == set()


def test_a_stray_folder_at_the_top_would_be_seen() -> None:
    assert strangers([Path("scripts/deploy.sh"), Path(".github/CODEOWNERS")]) == {"scripts"}


def test_no_file_names_a_path_of_one_machine(root, paths) -> None:
    """Such a path works for whoever wrote it and fails for everybody else."""
    assert lines_matching(MACHINE_PATH, texts(root, paths)) == []


def test_no_file_names_a_package_registry(root, paths) -> None:
    """Where packages come from is a setting of the machine: mirrors must work without a diff."""
    assert lines_matching(REGISTRY_HOST, texts(root, paths)) == []


def test_every_attack_on_rights_sockets_and_events_is_a_test_by_its_number(root, paths) -> None:
    """Who reads the list of threats finds what is tried against each by searching its number."""
    tests = [path for path in paths if path.name.startswith("test_") and path.suffix == ".py"]
    assert ATTACKS_TESTED - attacks_named(texts(root, tests).values()) == set()


def test_attacks_are_counted_one_by_one_and_as_ranges() -> None:
    planted = [
        "def test_attack_006_to_008_wrong_time()",
        "def test_attack_096_and_098_x()",
        "attack_5",
    ]
    assert attacks_named(planted) == {6, 7, 8, 96, 98}


def test_a_machine_path_and_a_registry_would_be_seen() -> None:
    planted = {
        Path("a"): "cd /" + "home/someone/seda",
        Path("b"): "pip install --index-url " + "https://packages.example.org/simple",
        Path("c"): "WORKDIR /app and https://example.org/home/page",
    }
    assert lines_matching(MACHINE_PATH, planted) == ["a:1: cd /" + "home/someone/seda"]
    assert len(lines_matching(REGISTRY_HOST, planted)) == 1
