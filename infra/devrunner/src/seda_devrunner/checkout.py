"""Where things are in this checkout: the list of services, and the folder of development state."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
SERVICES_FILE = ROOT / "infra" / "services.toml"


@dataclass(frozen=True, slots=True)
class Service:
    """One entry of infra/services.toml. Ports are wishes: a taken one is replaced."""

    name: str
    package: str
    schema: str
    port: int
    metrics_port: int
    socket_port: int | None = None


def load_services(file: Path) -> tuple[Service, ...]:
    listed: list[dict[str, Any]] = tomllib.loads(file.read_text())["service"]
    return tuple(Service(**entry) for entry in listed)


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Everything development leaves behind. Deleting the folder forgets it all."""

    path: Path = ROOT / ".state"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def run(self) -> Path:
        """Facts about the running platform, for whoever wants to talk to it."""
        return self.path / "run.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def migrated(self) -> Path:
        return self.path / "migrated"

    @property
    def seeded(self) -> Path:
        return self.path / "seeded.json"

    def make(self) -> None:
        # Passwords, keys and people's messages: nobody else's business.
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
