"""What only this state folder knows: passwords of the databases, keys of the broker's users."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from seda_messaging.broker_keys import new_seed
from seda_testkit.provision import new_passwords

from seda_devrunner.checkout import Service, StateFolder


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
