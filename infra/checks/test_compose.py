"""compose.yaml: ordered by health, closed by default, with the same SQL and NATS as described."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from seda_contracts.permissions import PROVISIONER, key_variable, seed_variable, users
from seda_messaging import broker_keys
from seda_testkit.binaries import find_nats

CHECKER = Path(sys.executable).with_name("check-jsonschema")
PUBLISHED = {"auth-gateway": ["3001:3001"], "chat-realtime": ["3014:3014"]}


@pytest.fixture(scope="module")
def compose(root) -> dict[str, Any]:
    return yaml.safe_load((root / "compose.yaml").read_text())["services"]


def unhealthy_waits(services: dict[str, Any]) -> Iterator[str]:
    """Dependencies that are waited for without a condition, or on health nobody measures."""
    for name, entry in services.items():
        waits = entry.get("depends_on", {})
        if not isinstance(waits, dict):
            yield f"{name}: depends_on is a list, so it waits for a start, not for health"
            continue
        for other, wait in waits.items():
            match wait.get("condition"):
                case "service_completed_successfully":
                    continue
                case "service_healthy" if "healthcheck" in services[other]:
                    continue
                case condition:
                    yield f"{name}: waits for {other} by {condition}, which proves nothing"


def test_compose_follows_its_specification(root) -> None:
    done = subprocess.run(
        [CHECKER, "--builtin-schema", "vendor.compose-spec", root / "compose.yaml"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_everything_waits_for_health_and_not_for_a_start(compose) -> None:
    """A service that starts before its schema exists fails in a way that looks like its own bug."""
    assert list(unhealthy_waits(compose)) == []


def test_a_wait_without_health_would_be_seen() -> None:
    planted = {
        "a": {"depends_on": ["b"]},
        "b": {"depends_on": {"c": {"condition": "service_healthy"}}},
        "c": {},
    }
    assert len(list(unhealthy_waits(planted))) == 2


def test_a_service_starts_after_its_own_migration(compose, services) -> None:
    for service in services:
        migration = compose[f"{service.name}-migrate"]
        assert migration["command"] == ["migrate"]
        assert set(migration["depends_on"]) == {"postgres", "nats"}
        wait = compose[service.name]["depends_on"][f"{service.name}-migrate"]
        assert wait == {"condition": "service_completed_successfully"}


def test_only_the_gateway_and_the_socket_are_published(compose) -> None:
    """A published database port is reachable from the whole network of whoever runs this."""
    assert {
        name: entry["ports"] for name, entry in compose.items() if "ports" in entry
    } == PUBLISHED


def test_each_service_holds_only_its_own_application_login(compose, services) -> None:
    for service in services:
        environment = compose[service.name]["environment"]
        assert environment["DATABASE_URL"].startswith(f"postgresql://{service.schema}_app:")
        assert "DATABASE_OWNER_URL" not in environment
        owner = compose[f"{service.name}-migrate"]["environment"]["DATABASE_OWNER_URL"]
        assert owner.startswith(f"postgresql://{service.schema}_owner:")


def test_images_of_others_are_pinned_to_a_version(compose) -> None:
    for name, entry in compose.items():
        _, _, tag = entry["image"].partition(":")
        assert tag, f"{name}: an image without a tag is another image tomorrow"
        assert tag != "latest", f"{name}: `latest` is another image tomorrow"


def test_services_cannot_write_or_gain_privileges(compose, services) -> None:
    for name in (s.name + suffix for s in services for suffix in ("", "-migrate")):
        entry = compose[name]
        assert entry["read_only"] is True, name
        assert entry["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in entry["security_opt"], name


def test_compose_gives_the_init_sql_every_password_it_reads(compose, services) -> None:
    environment = compose["postgres"]["environment"]
    for service in services:
        for role in ("OWNER", "APP"):
            assert f"{service.schema.upper()}_{role}_PASSWORD" in environment


def variables(root) -> set[str]:
    """The public keys that the committed permissions ask the server's environment for."""
    return set(re.findall(r"\$(NATS_NKEY_\w+)", (root / "infra/nats/permissions.conf").read_text()))


def test_nats_is_given_the_public_keys_it_asks_for_and_no_other(compose, root) -> None:
    told = compose["nats"]["environment"]
    assert told == dict.fromkeys(variables(root)), "passed through from .env, none written here"


def test_each_container_holds_its_own_key_of_the_broker(compose, services) -> None:
    for service in services:
        serving, migrating = compose[service.name], compose[f"{service.name}-migrate"]
        own = f"${{{seed_variable(service.name)}:-}}"
        assert serving["environment"]["NATS_NKEY_SEED"] == own
        provisioners = f"${{{seed_variable(PROVISIONER)}:-}}"
        assert migrating["environment"]["NATS_NKEY_SEED"] == provisioners


def test_one_command_makes_every_key_that_compose_reads(root, tmp_path) -> None:
    assert "seda_messaging.broker_keys --add-to .env\n" in (root / "Makefile").read_text()
    file = tmp_path / ".env"
    broker_keys.main(["--add-to", str(file)])
    made = {line.partition("=")[0] for line in file.read_text().splitlines()}
    read = set(re.findall(r"\$\{(NATS_\w+)", (root / "compose.yaml").read_text()))
    assert read | variables(root) <= made


def check_nats(root, keys: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_nats(), "-t", "-c", root / "infra/nats/compose.conf"],
        check=False,
        capture_output=True,
        text=True,
        env=keys,
    )


def test_nats_accepts_its_configuration_and_names_a_missing_key(root) -> None:
    keys = broker_keys.public_keys({user: broker_keys.new_seed() for user in users()})
    accepted = check_nats(root, keys)
    assert accepted.returncode == 0, accepted.stderr
    del keys[key_variable("crawler")]
    refused = check_nats(root, keys)
    assert refused.returncode != 0
    assert key_variable("crawler") in refused.stderr
