"""The values schema refuses what would only show at three in the morning."""

import helm_python as helm
import pytest


@pytest.mark.parametrize(
    ("what", "overrides"),
    [
        ("an empty tag", {"image": {"tag": ""}}),
        ("the tag latest", {"image": {"tag": "latest"}}),
        ("a digest that is none", {"image": {"digest": "sha256:abc"}}),
        ("an unknown key", {"replica": 3}),
        ("an unknown key below", {"autoscaling": {"minimum": 3}}),
        ("a port out of range", {"ports": {"http": 70_000}}),
        ("a word for a number", {"replicas": "three"}),
        ("a limit without unit", {"resources": {"limits": {"memory": "512"}}}),
        ("a variable in lower case", {"env": {"log_level": "info"}}),
        ("a password in plain sight", {"env": {"DATABASE_PASSWORD": "hunter2"}}),
        ("a database login in plain sight", {"env": {"DATABASE_URL": "postgresql://a:b@c/d"}}),
        ("a broker's key in plain sight", {"env": {"NATS_NKEY_SEED": "not even one"}}),
        ("a secret written out", {"secrets": {"NATS_URL": "nats://a:b@c"}}),
        ("a grace period of nothing", {"gracePeriodSeconds": 0}),
        ("an ingress without host", {"ingress": {"enabled": True}}),
    ],
)
def test_the_schema_refuses(charts, what: str, overrides) -> None:
    with pytest.raises(helm.HelmValuesError):
        charts.render("crawler", **overrides)


def test_a_value_outside_service_is_refused(charts) -> None:
    """`--set image.tag=...` would change nothing, so it must not look as if it worked."""
    values = charts.values("crawler") | {"image": {"tag": "1"}}
    with helm.Chart.load(charts.folder / "crawler") as chart, pytest.raises(helm.HelmValuesError):
        chart.render(values, name="crawler", namespace="seda-test")


def test_a_chart_without_a_tag_does_not_render(charts) -> None:
    with helm.Chart.load(charts.folder / "crawler") as chart, pytest.raises(helm.HelmValuesError):
        chart.render({}, name="crawler", namespace="seda-test")


def test_what_an_environment_changes_is_accepted(charts) -> None:
    objects = charts.render(
        "auth-gateway",
        image={"tag": "4f1c2d3"},
        env={"ENV": "qa", "LOG_LEVEL": "debug"},
        ingress={"host": "api-qa.seda.fm", "issuer": "letsencrypt-staging"},
        network={"postgres": {"cidr": "198.51.100.7/32"}},
        autoscaling={"replicasMin": 1},
        disruption={"availableMin": 1},
    )
    assert objects


def test_values_stay_short_enough_to_read(root, services) -> None:
    """A value is added when a service needs it, not before."""
    for service in services:
        lines = (root / "helm" / service.name / "values.yaml").read_text().splitlines()
        assert len(lines) < 80, service.name
