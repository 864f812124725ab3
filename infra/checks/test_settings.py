"""Charts and compose set what a service reads, all of it that has no default, and nothing else.

A misspelt variable is the quietest bug there is: everything starts, with the default.
"""

import importlib
from typing import Any

import msgspec
import pytest
import yaml
from seda_messaging.broker_keys import new_seed
from seda_runtime.settings import MigrateSettings, ServiceSettings, SettingsError, load

OF_THE_CHART = {"VERSION", "PORT", "METRICS_PORT", "SHUTDOWN_GRACE_SECONDS"}
"""Set by the library chart for every service."""
SECRETS = {
    "DATABASE_URL": "postgresql://app:login@postgres/seda",
    "NATS_URL": "nats://nats:4222",
    "NATS_NKEY_SEED": new_seed(),
    "ADMIN_API_KEY": "0123456789abcdef" * 4,
}
"""Well-formed stand-ins for what the cluster's Secrets hold."""


def settings_of(package: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"{package}.settings")
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, ServiceSettings)
        and kind is not ServiceSettings
    ]
    # A service without settings of its own may use the common ones as they are.
    return kinds[0] if kinds else ServiceSettings


def disagreements(kind: type[msgspec.Struct], told: set[str]) -> list[str]:
    fields = {field.name.upper(): field.required for field in msgspec.structs.fields(kind)}
    unread = [f"{name} is set, and nobody reads it" for name in sorted(told - fields.keys())]
    required = {name for name, is_required in fields.items() if is_required}
    return unread + [f"{name} is required and not set" for name in sorted(required - told)]


def chart_variables(root: Any, name: str) -> set[str]:
    values = yaml.safe_load((root / "helm" / name / "values.yaml").read_text())["service"]
    socket = {"SOCKET_PORT"} if values["ports"].get("socket") else set()
    return OF_THE_CHART | socket | values["env"].keys() | values["secrets"].keys()


@pytest.mark.parametrize("index", range(6))
def test_chart_and_compose_set_what_the_service_reads(root, services, index: int) -> None:
    service = services[index]
    kind = settings_of(service.package)
    assert disagreements(kind, chart_variables(root, service.name)) == [], f"helm/{service.name}"
    compose = yaml.safe_load((root / "compose.yaml").read_text())["services"]
    assert disagreements(kind, set(compose[service.name]["environment"])) == [], "compose.yaml"


@pytest.mark.parametrize("index", range(6))
def test_a_service_accepts_the_production_values_of_its_chart(
    root, services, tmp_path, index: int
) -> None:
    """What a service refuses in production must not be what its chart gives it by default."""
    service = services[index]
    values = yaml.safe_load((root / "helm" / service.name / "values.yaml").read_text())["service"]
    environment = {name: str(value) for name, value in values["env"].items()}
    environment |= {name: SECRETS[name] for name in values["secrets"]}
    environment |= {"PORT": str(values["ports"]["http"])}
    assert environment["ENV"] == "production"

    kind = settings_of(service.package)
    create_app = importlib.import_module(f"{service.package}.app").create_app
    if values.get("files"):
        # The mounted key rings: a start in development makes them.
        environment["AUTH_KEYSET_DIR"] = str(tmp_path / "keys")
        create_app(load(kind, environment | {"ENV": "development"}))
    create_app(load(kind, environment))


@pytest.mark.parametrize("index", range(6))
def test_no_service_starts_with_a_failpoint_where_people_are(services, index: int) -> None:
    kind = settings_of(services[index].package)
    told = SECRETS | {"PORT": "0", "ENV": "production", "SEDA_FAILPOINT": "inbox.recorded:kill:1"}
    with pytest.raises(SettingsError, match="SEDA_FAILPOINT"):
        load(kind, told)


def test_migrations_are_told_what_they_read(root, services) -> None:
    compose = yaml.safe_load((root / "compose.yaml").read_text())["services"]
    for service in services:
        told = set(compose[f"{service.name}-migrate"]["environment"])
        assert disagreements(MigrateSettings, told) == [], f"{service.name} in compose.yaml"
        values = yaml.safe_load((root / "helm" / service.name / "values.yaml").read_text())
        told = set(values["service"]["migration"]["secrets"])
        assert disagreements(MigrateSettings, told) == [], f"helm/{service.name}"


def test_a_misspelt_and_a_missing_variable_would_be_seen() -> None:
    assert disagreements(MigrateSettings, {"NATS_URL", "DATABASE_OWNERS_URL"}) == [
        "DATABASE_OWNERS_URL is set, and nobody reads it",
        "DATABASE_OWNER_URL is required and not set",
    ]
