"""Where things are in this checkout: the list of services, and the folder of development state."""

import json
import secrets
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seda_messaging.broker_keys import new_seed
from seda_testkit.provision import new_passwords

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


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made on the first start and kept, because the database remembers them too."""

    passwords: dict[str, str]
    admin_api_key: str
    nkey_seeds: dict[str, str]
    """The private key of each user of the embedded broker."""


def load_secrets(
    state: StateFolder, services: tuple[Service, ...], broker_users: Iterable[str]
) -> Secrets:
    """What the folder does not hold yet is made and kept there."""
    file = state.path / "secrets.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    fresh = new_passwords(service.schema for service in services)
    made = Secrets(
        passwords=fresh | known.get("passwords", {}),
        admin_api_key=known.get("admin_api_key") or secrets.token_urlsafe(36),
        nkey_seeds={user: new_seed() for user in broker_users} | known.get("nkey_seeds", {}),
    )
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(made), indent=2))
    return made
