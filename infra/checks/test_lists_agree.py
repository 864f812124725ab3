"""The services are listed once, in infra/services.toml, and told again by other places.

A seventh service that is in compose but not in CI is built by everyone and tested by nobody.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from seda_contracts.registry import REGISTRY


def disagreements(expected: set[str], told: Mapping[str, set[str]]) -> list[str]:
    return [
        f"{place}: missing {sorted(expected - names)}, unknown {sorted(names - expected)}"
        for place, names in told.items()
        if names != expected
    ]


def folders(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir() if path.is_dir()}


def test_every_place_tells_the_same_services(root, services) -> None:
    compose = yaml.safe_load((root / "compose.yaml").read_text())["services"]
    ci = yaml.safe_load((root / ".github/workflows/ci.yml").read_text())["jobs"]
    release = yaml.safe_load((root / ".github/workflows/release.yml").read_text())["jobs"]
    told = {
        "services/": folders(root / "services"),
        "compose.yaml": {name for name, entry in compose.items() if "build" in entry},
        "helm/": folders(root / "helm") - {"seda-service"},
        "ci.yml, images": set(ci["images"]["strategy"]["matrix"]["service"]),
        "ci.yml, charts": set(ci["charts"]["strategy"]["matrix"]["service"]),
        "release.yml, images": set(release["images"]["strategy"]["matrix"]["service"]),
        "contracts, producers": {name for entry in REGISTRY for name in entry.producers},
    }
    assert disagreements({service.name for service in services}, told) == []


def test_a_forgotten_and_an_invented_service_are_both_named() -> None:
    assert disagreements({"a", "b"}, {"here": {"a", "c"}, "there": {"a", "b"}}) == [
        "here: missing ['b'], unknown ['c']"
    ]


def test_consumers_of_events_are_services(services) -> None:
    names = {service.name for service in services}
    consumers = {consumer for entry in REGISTRY for consumer in entry.consumers}
    assert {name for name in consumers if name.partition(".")[0] not in names} == set()


def test_no_two_listeners_share_a_port(services) -> None:
    ports = [
        port
        for service in services
        for port in (service.port, service.metrics_port, service.socket_port)
        if port
    ]
    assert len(ports) == len(set(ports))


def test_a_package_is_its_service_in_snake_case(services) -> None:
    """A path that can be guessed is the cheapest documentation."""
    assert [service.package for service in services] == [
        service.name.replace("-", "_") for service in services
    ]


@pytest.mark.parametrize("index", range(6))
def test_charts_and_compose_use_the_ports_of_the_list(root, services, index: int) -> None:
    service = services[index]
    chart = yaml.safe_load((root / "helm" / service.name / "values.yaml").read_text())["service"]
    ports = {"http": service.port, "metrics": service.metrics_port}
    if service.socket_port:
        ports["socket"] = service.socket_port
    assert chart["ports"] == ports

    compose = yaml.safe_load((root / "compose.yaml").read_text())["services"][service.name]
    assert compose["environment"]["PORT"] == service.port
    assert compose["environment"]["METRICS_PORT"] == service.metrics_port
    assert compose["environment"].get("SOCKET_PORT", 0) == service.socket_port
    assert compose["build"]["args"] == {
        "SERVICE": service.name,
        "PACKAGE": service.package,
        "PORT": service.port,
    }
