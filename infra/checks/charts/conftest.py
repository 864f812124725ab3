"""The charts, rendered by Helm itself: no cluster, no network, dependencies by file://."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Charts:
    """A copy of helm/ in which every chart has its dependency built, as a deployer has it."""

    folder: Path

    def render(self, service: str, **overrides: Any) -> list[Manifest]:
        """Objects of a release with the chart's ci values; `overrides` go under `service`.

        Raises helm_python.HelmValuesError when the schema refuses them.
        """
        values = self.values(service)
        values["service"] = merged(values["service"], overrides)
        with helm.Chart.load(self.folder / service) as chart:
            rendered = chart.render(values, name=service, namespace="seda-test")
        documents = (
            document for text in rendered.values() for document in yaml.safe_load_all(text)
        )
        return [document for document in documents if document]

    def values(self, service: str) -> dict[str, Any]:
        """What a release has to say at least, from ci/default-values.yaml."""
        return yaml.safe_load((self.folder / service / "ci/default-values.yaml").read_text())


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if both else value
    return result


def build(source: Path, target: Path) -> Charts:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    for chart in sorted(target.iterdir()):
        if chart.name != "seda-service":
            helm.dependency_update(chart)
    return Charts(target)


@pytest.fixture(scope="session")
def charts(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Charts:
    return build(root / "helm", tmp_path_factory.mktemp("helm") / "helm")


@pytest.fixture(scope="session")
def charts_with_monitoring(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Charts:
    """The same, on a cluster that knows ServiceMonitor.

    The renderer has no option for a cluster's kinds, so the question is swapped for one that every
    cluster answers with yes.
    """
    folder = tmp_path_factory.mktemp("helm-monitoring")
    shutil.copytree(root / "helm", folder / "source")
    question = folder / "source/seda-service/templates/_all.tpl"
    text = question.read_text()
    assert '"monitoring.coreos.com/v1"' in text
    question.write_text(text.replace('"monitoring.coreos.com/v1"', '"apps/v1"'))
    return build(folder / "source", folder / "helm")


@pytest.fixture(scope="session")
def releases(charts: Charts, services) -> dict[str, list[Manifest]]:
    """Every service's objects with nothing but its defaults."""
    return {service.name: charts.render(service.name) for service in services}


@pytest.fixture(scope="session")
def only() -> Callable[[list[Manifest], str], Manifest]:
    """`only(objects, "Deployment")`: the single object of a kind."""

    def find(objects: list[Manifest], kind: str) -> Manifest:
        found = [entry for entry in objects if entry["kind"] == kind]
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]

    return find
