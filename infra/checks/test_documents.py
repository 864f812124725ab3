"""Documents stay true: records are numbered once, links lead somewhere."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

RECORD = re.compile(r"(\d{4})(-[a-z0-9]+)+\.md")
HEADINGS = ("## Context", "## Decision", "## Rejected", "## Consequences", "## Revisit when")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINES_MAX = 60
"""One page."""


def numbering_faults(names: Iterable[str]) -> list[str]:
    names = list(names)
    numbers = Counter(name[:4] for name in names)
    return [f"{name}: not NNNN-words.md" for name in names if not RECORD.fullmatch(name)] + [
        f"{number}: taken {count} times" for number, count in numbers.items() if count > 1
    ]


def missing_headings(text: str) -> list[str]:
    return [heading for heading in HEADINGS if heading not in text.splitlines()]


def anchors(text: str) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path) if path else page
        if not other.exists():
            broken.append(f"{page}: {target} does not exist")
        elif anchor and other.suffix == ".md" and anchor not in anchors(other.read_text()):
            broken.append(f"{page}: {target} has no such heading")
    return broken


def test_decision_records_have_numbers_of_their_own(root) -> None:
    """Two records with one number were two branches that did not know of each other."""
    names = sorted(path.name for path in (root / "infra/decisions").glob("[0-9]*.md"))
    assert names
    assert numbering_faults(names) == []


def test_decision_records_say_why_and_when_to_think_again(root) -> None:
    for path in (root / "infra/decisions").glob("[0-9]*.md"):
        text = path.read_text()
        assert missing_headings(text) == [], path.name
        assert len(text.splitlines()) <= LINES_MAX, f"{path.name} is longer than a page"


def test_every_link_between_our_pages_leads_somewhere(root, paths) -> None:
    pages = [root / path for path in paths if path.suffix == ".md"]
    assert [fault for page in pages for fault in broken_links(page)] == []


def test_the_index_of_documents_names_every_document(root) -> None:
    folder = root / "infra/docs"
    linked = set(LINK.findall((folder / "README.md").read_text()))
    pages = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} - {"README.md"}
    assert pages - linked == set()


def test_the_events_page_is_what_the_contracts_say(root) -> None:
    """`make generate` writes it anew."""
    written = subprocess.run(
        [sys.executable, root / "infra/checks/events_page.py"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert (root / "infra/docs/events.md").read_text() == written


def test_faults_in_documents_would_be_seen(tmp_path: Path) -> None:
    assert numbering_faults(["0001-one.md", "0001-two.md", "note.md"]) == [
        "note.md: not NNNN-words.md",
        "0001: taken 2 times",
    ]
    assert missing_headings("# Title\n\n## Context\n") == list(HEADINGS[1:])
    page = tmp_path / "page.md"
    page.write_text("# One page\n[a](gone.md) [b](#one-page) [c](#two) [d](https://example.org)\n")
    assert len(broken_links(page)) == 2
