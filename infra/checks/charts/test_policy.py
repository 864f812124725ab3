"""What every workload must be, whatever its values say: confined, bounded, observable."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

SECRET_WORDS = (
    "SECRET",
    "PASSWORD",
    "TOKEN",
    "API_KEY",
    "DATABASE_URL",
    "OWNER_URL",
    "NATS_URL",
    "NKEY_SEED",
)


def pod_complaints(pod: dict[str, Any]) -> Iterator[str]:
    """Lapses of one pod template's spec, serving or migrating."""
    if pod.get("automountServiceAccountToken") is not False:
        yield "a token of the cluster is mounted; no service talks to the cluster"
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "the pod may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    for container in pod["containers"]:
        yield from container_complaints(container)


def container_complaints(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True:
        yield "the root file system is writable"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "privileges may be gained"
    if context.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities are kept"
    for bound in ("requests", "limits"):
        if set(container.get("resources", {}).get(bound, {})) != {"cpu", "memory"}:
            yield f"{bound} do not name cpu and memory"
    image, _, tag = container["image"].rpartition(":")
    if not image or tag in {"", "latest"}:
        yield f"the image {container['image']} may change under the same name"
    for variable in container.get("env", []):
        if "value" in variable and any(word in variable["name"] for word in SECRET_WORDS):
            yield f"{variable['name']} is written out; name a Secret"


def serving_complaints(deployment: dict[str, Any]) -> Iterator[str]:
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    paths = {
        probe: container.get(probe, {}).get("httpGet", {}).get("path")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    expected = {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    if paths != expected:
        yield f"probes are {paths}: liveness must not ask the database, readiness must"
    if "preStop" not in container.get("lifecycle", {}):
        yield "no preStop: requests still arrive while the process is stopping"
    if {entry["topologyKey"] for entry in pod.get("topologySpreadConstraints", [])} != {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }:
        yield "pods are not spread over zones and hosts"


@pytest.fixture(scope="module")
def workloads(releases) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name} {entry['kind']}", entry)
        for name, objects in releases.items()
        for entry in objects
        if entry["kind"] in {"Deployment", "Job"}
    ]


def test_every_pod_is_confined_and_bounded(workloads) -> None:
    for name, workload in workloads:
        assert list(pod_complaints(workload["spec"]["template"]["spec"])) == [], name


def test_every_deployment_is_observed_and_drained(releases, only) -> None:
    for name, objects in releases.items():
        assert list(serving_complaints(only(objects, "Deployment"))) == [], name


def test_each_lapse_would_be_seen(releases, only) -> None:
    deployment = copy.deepcopy(only(releases["crawler"], "Deployment"))
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    del pod["automountServiceAccountToken"], pod["securityContext"], container["resources"]
    container["securityContext"] = {"privileged": True}
    container["image"] = "ghcr.io/seda-fm/crawler:latest"
    container["env"] = [{"name": "DATABASE_URL", "value": "postgresql://a:b@c/d"}]
    container["livenessProbe"]["httpGet"]["path"] = "/api/v1/health"
    del container["lifecycle"], pod["topologySpreadConstraints"]
    assert len(list(pod_complaints(pod))) == 10
    assert len(list(serving_complaints(deployment))) == 3


def test_no_chart_carries_a_secret(releases) -> None:
    for objects in releases.values():
        assert all(entry["kind"] != "Secret" for entry in objects)


def test_who_serves_and_who_migrates_log_in_to_the_broker_as_themselves(workloads) -> None:
    """A serving pod that could read the provisioner's key could delete every stream."""
    for name, workload in workloads:
        service = workload["metadata"]["labels"]["app.kubernetes.io/name"]
        variables = workload["spec"]["template"]["spec"]["containers"][0]["env"]
        seeds = [v["valueFrom"] for v in variables if v["name"] == "NATS_NKEY_SEED"]
        secret = service if workload["kind"] == "Deployment" else "nats-provisioner"
        assert seeds == [{"secretKeyRef": {"name": secret, "key": "nats-nkey-seed"}}], name


def test_three_replicas_survive_a_drained_node(releases, only) -> None:
    for name, objects in releases.items():
        replicas_min = only(objects, "HorizontalPodAutoscaler")["spec"]["minReplicas"]
        available_min = only(objects, "PodDisruptionBudget")["spec"]["minAvailable"]
        assert replicas_min >= 3, name
        assert available_min < replicas_min, f"{name}: no node could ever be drained"


def test_everything_is_labelled_for_those_who_look_for_it(releases) -> None:
    for name, objects in releases.items():
        for entry in objects:
            labels = entry["metadata"]["labels"]
            assert labels["app.kubernetes.io/name"] == name
            assert labels["app.kubernetes.io/part-of"] == "seda"
            assert labels["app.kubernetes.io/version"] == "0.1.0"


def test_a_service_never_sends_requests_to_a_migration(releases, only) -> None:
    """The migration pod has the same name label; it listens to nothing and would answer nobody."""
    for name, objects in releases.items():
        selector = only(objects, "Service")["spec"]["selector"]
        served = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        migrated = only(objects, "Job")["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= served.items(), name
        assert not selector.items() <= migrated.items(), name


def test_migrations_run_before_the_pods_within_a_deadline_and_once(releases, only) -> None:
    for name, objects in releases.items():
        job = only(objects, "Job")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade", name
        assert job["spec"]["activeDeadlineSeconds"] > 0
        assert job["spec"]["backoffLimit"] == 0
        assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]


def test_only_the_migration_knows_the_owner_of_the_schema(releases, only) -> None:
    """A service that could alter its tables could also drop them."""
    for name, objects in releases.items():
        for kind, knows in (("Job", True), ("Deployment", False)):
            containers = only(objects, kind)["spec"]["template"]["spec"]["containers"]
            names = {variable["name"] for variable in containers[0]["env"]}
            assert ("DATABASE_OWNER_URL" in names) is knows, f"{name} {kind}"


def test_the_socket_has_longer_to_say_goodbye(releases, only) -> None:
    pods = {
        name: only(objects, "Deployment")["spec"]["template"]["spec"]
        for name, objects in releases.items()
    }
    assert pods["chat-realtime"]["terminationGracePeriodSeconds"] == 120
    for name, pod in pods.items():
        environment = {v["name"]: v.get("value") for v in pod["containers"][0]["env"]}
        grace_seconds = int(environment["SHUTDOWN_GRACE_SECONDS"])
        assert grace_seconds < pod["terminationGracePeriodSeconds"], f"{name}: killed mid-drain"
