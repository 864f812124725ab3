"""The words every service answers: serve, migrate, describe, outbox-status, replay-outbox."""

import importlib
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

from seda_messaging.outbox_command import OutboxCommandFailed, replay_now, status_now
from seda_messaging.provision import provision_now

USAGE = "serve | migrate | describe | outbox-status | replay-outbox --since 2h"


def run_command(
    arguments: Sequence[str],
    *,
    service: str,
    package: str,
    settings: type[ServiceSettings],
    create_app: Callable[[Any], Litestar],
) -> None:
    """`serve` until told to stop, `migrate` schema and broker, `describe` the service as JSON; say
    how its outbox stands as JSON, and have it send again what a broker has lost.

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
                _print_json(describe(service, settings, create_app))
            case ["outbox-status"]:
                _print_json(status_now(_schema_of(package), os.environ))
            case ["replay-outbox", *options]:
                types = [entry.contract.TYPE for entry in produced_by(service)]
                said = replay_now(_schema_of(package), options, os.environ, types=types)
                sys.stdout.write(f"{service}: {said}\n")
            case _:
                sys.exit(f"usage: python -m {package} {USAGE}")
    except (SettingsError, OutboxCommandFailed) as error:
        sys.stderr.write(f"{service}: {error}\n")
        sys.exit(2)


def _schema_of(package: str) -> str:
    """Every service has its tables in `<package>.tables`."""
    return str(importlib.import_module(f"{package}.tables").Table.metadata.schema)


def _print_json(facts: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")


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
