"""What Helm makes of the charts: objects valid for the oldest and the newest Kubernetes we name."""

from collections import Counter

import helm_python as helm
import kubernetes_validate
import pytest

KUBERNETES = ("1.31", "1.37")
EVERY_SERVICE = Counter(
    {
        "Job": 1,
        "ServiceAccount": 1,
        "NetworkPolicy": 1,
        "Deployment": 1,
        "Service": 1,
        "PodDisruptionBudget": 1,
        "HorizontalPodAutoscaler": 1,
    }
)


def test_every_service_gets_the_same_kinds_and_the_gateway_an_ingress(releases) -> None:
    for name, objects in releases.items():
        expected = EVERY_SERVICE + Counter(["Ingress"] if name == "auth-gateway" else [])
        assert Counter(entry["kind"] for entry in objects) == expected, name


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_valid_for_kubernetes(releases, version: str) -> None:
    for objects in releases.values():
        for entry in objects:
            kubernetes_validate.validate(entry, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_a_wrong_object_would_be_refused(releases, only, version: str) -> None:
    wrong = only(releases["crawler"], "Service") | {"spec": {"ports": "http"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_helm_lint_has_nothing_to_say(charts, services) -> None:
    for service in services:
        report = helm.lint(charts.folder / service.name, charts.values(service.name), strict=True)
        remarks = [message["error"] for message in report["messages"]]
        assert remarks == ["icon is recommended"], service.name


def test_rendering_twice_gives_the_same_text(charts, releases) -> None:
    """A chart that renders a random or a date restarts every pod on every upgrade."""
    for name, objects in releases.items():
        assert charts.render(name) == objects


def test_a_service_monitor_appears_only_where_the_cluster_knows_it(
    releases, charts_with_monitoring, only
) -> None:
    assert all(entry["kind"] != "ServiceMonitor" for entry in releases["crawler"])
    monitor = only(charts_with_monitoring.render("crawler"), "ServiceMonitor")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"]["endpoints"] == [
        {"port": "metrics", "path": "/api/v1/metrics", "interval": "30s"}
    ]


def test_without_autoscaling_the_deployment_names_its_replicas(charts, only) -> None:
    objects = charts.render("crawler", autoscaling={"enabled": False})
    assert all(entry["kind"] != "HorizontalPodAutoscaler" for entry in objects)
    assert only(objects, "Deployment")["spec"]["replicas"] == 3


def test_a_digest_wins_over_the_tag(charts, only) -> None:
    digest = "sha256:" + "a" * 64
    deployment = only(charts.render("crawler", image={"digest": digest}), "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"ghcr.io/seda-fm/crawler@{digest}"
