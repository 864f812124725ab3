"""What the checks look at: the files git knows, and the list of services."""

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One row of infra/services.toml."""

    name: str
    package: str
    schema: str
    port: int
    metrics_port: int
    socket_port: int = 0

    @property
    def folder(self) -> Path:
        return ROOT / "services" / self.name

    @property
    def source(self) -> Path:
        return self.folder / "src" / self.package


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def services() -> tuple[Service, ...]:
    rows = tomllib.loads((ROOT / "infra/services.toml").read_text())["service"]
    return tuple(Service(**row) for row in rows)


@pytest.fixture(scope="session")
def paths() -> tuple[Path, ...]:
    """Committed files and those about to be, relative to the root; never what git ignores."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(
        sorted(Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file())
    )
