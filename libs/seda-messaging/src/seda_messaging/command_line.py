"""The three words every service answers: serve, migrate, describe."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import Litestar
from seda_contracts.registry import consumed_by, produced_by
from seda_db.migrations import upgrade
from seda_runtime.application import serve
from seda_runtime.settings import MigrateSettings, ServiceSettings, SettingsError, load

from seda_messaging.provision import provision_now


def run_command(
    arguments: Sequence[str],
    *,
    service: str,
    package: str,
    settings: type[ServiceSettings],
    create_app: Callable[[Any], Litestar],
) -> None:
    """`serve` until told to stop, `migrate` schema and broker, `describe` the service as JSON.

    Leaves with status 2 and one line for a word or a setting that is wrong.
    """
    try:
        match arguments:
            case ["serve"]:
                serve(f"{package}.app:create_app_from_env", load(settings, os.environ))
            case ["migrate"]:
                migrate = load(MigrateSettings, os.environ)
                upgrade(package, migrate.database_owner_url)
                provision_now(migrate.nats_url, service, nkey_seed=migrate.nats_nkey_seed)
            case ["describe"]:
                facts = describe(service, settings, create_app)
                sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
            case _:
                sys.exit(f"usage: python -m {package} serve | migrate | describe")
    except SettingsError as error:
        sys.stderr.write(f"{service}: {error}\n")
        sys.exit(2)


def describe(
    service: str, settings: type[ServiceSettings], create_app: Callable[[Any], Litestar]
) -> dict[str, Any]:
    """What a service is, from its own code: settings, events, HTTP."""
    fields = msgspec.structs.fields(settings)
    example = settings(
        env="test",
        port=0,
        database_url="postgresql://localhost/seda",
        nats_url="nats://localhost",
    )
    app = create_app(example)
    return {
        "name": service,
        "settings": sorted(
            ({"name": f.name.upper(), "required": f.required} for f in fields),
            key=lambda row: str(row["name"]),
        ),
        "publishes": [entry.contract.TYPE for entry in produced_by(service)],
        "consumes": [entry.contract.TYPE for entry in consumed_by(service)],
        "openapi": app.openapi_schema.to_schema(),
    }
