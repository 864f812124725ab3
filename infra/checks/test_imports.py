"""The arrows: services -> libs -> contracts, edges -> operations -> store -> tables, pure domain.

Layering decays silently, one convenient import at a time. The contracts are in pyproject.toml
under [tool.importlinter]; here they are run on the code, and on a small tree with planted lapses.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

LINTER = Path(sys.executable).with_name("lint-imports")


def lint(root: Path, extra_path: Path | None = None) -> tuple[bool, str]:
    """Run the contracts; packages under `extra_path` stand before the installed ones."""
    environment = dict(os.environ, NO_COLOR="1")
    if extra_path is not None:
        environment["PYTHONPATH"] = str(extra_path)
    done = subprocess.run(
        [LINTER, "--no-cache", "--config", root / "pyproject.toml"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    """Every package of the contracts, empty."""
    configuration = tomllib.loads((root / "pyproject.toml").read_text())
    for package in configuration["tool"]["importlinter"]["root_packages"]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def test_all_imports_follow_the_arrows(root) -> None:
    kept, report = lint(root)
    assert kept, report


def test_an_empty_tree_keeps_every_contract(root, tree) -> None:
    kept, report = lint(root, tree)
    assert kept, report


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("crawler/app.py", "import track_unfurl", "Services never import each other"),
        ("seda_db/__init__.py", "import crawler", "Services stand on libs"),
        ("seda_contracts/base.py", "import seda_db", "Services stand on libs"),
        ("crawler/store.py", "from crawler import operations", "The same arrows"),
        ("chat_realtime/rooms/domain.py", "import chat_realtime.rooms.store", "The same arrows"),
        ("crawler/domain.py", "import sqlalchemy", "The domain is plain Python"),
        ("chat_realtime/rooms/domain.py", "import seda_messaging", "The domain is plain Python"),
        ("seda_contracts/base.py", "import litestar", "contracts needs msgspec"),
        ("crawler/app.py", "import seda_testkit", "never imports the test kit"),
        ("seda_messaging/consumer.py", "import nats", "know the NATS library"),
        ("crawler/app.py", "import nats", "know the NATS library"),
    ],
)
def test_a_planted_lapse_breaks_its_contract(root, tree, module, line, broken) -> None:
    path = tree / module
    path.parent.mkdir(exist_ok=True)
    for folder in (path.parent, tree / "crawler"):
        (folder / "__init__.py").touch()
    for name in ("store.py", "operations.py"):
        (path.parent / name).touch()
    path.write_text(line + "\n")
    kept, report = lint(root, tree)
    assert not kept
    assert any(broken in text and "BROKEN" in text for text in report.splitlines()), report
