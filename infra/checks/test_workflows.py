"""GitHub workflows: valid, with the least permissions, running commands a person can run."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKER = Path(sys.executable).with_name("check-jsonschema")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def steps(workflow: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in workflow["jobs"].items():
        for step in job.get("steps", []):
            yield name, step


def complaints(workflow: dict[str, Any]) -> Iterator[str]:
    if workflow.get("permissions") != {"contents": "read"}:
        yield "permissions must be read-only at the top; a job that needs more asks for itself"
    for job, step in steps(workflow):
        uses = step.get("uses", "")
        if uses and not uses.startswith("./") and not PINNED.fullmatch(uses):
            yield f"{job}: {uses} is not pinned to a commit; a tag can be moved under us"
        keeps_token = step.get("with", {}).get("persist-credentials") is not False
        if uses.startswith("actions/checkout@") and keeps_token:
            yield f"{job}: checkout leaves its token on disk"
        if "${{" in step.get("run", "") and "matrix." not in step["run"]:
            yield f"{job}: an expression in a script is an injection; pass it through env"


@pytest.fixture(scope="module")
def ci(root) -> dict[str, Any]:
    return yaml.safe_load((root / ".github/workflows/ci.yml").read_text())


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.github-workflows", "workflows/*.yml"),
        ("custom.github-workflows-require-timeout", "workflows/*.yml"),
        ("vendor.dependabot", "dependabot.yml"),
    ],
)
def test_github_would_accept_the_files(root, schema: str, pattern: str) -> None:
    files = sorted((root / ".github").glob(pattern))
    assert files
    done = subprocess.run(
        [CHECKER, "--builtin-schema", schema, *files], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_workflow_is_careful(root) -> None:
    for path in sorted((root / ".github/workflows").glob("*.yml")):
        assert list(complaints(yaml.safe_load(path.read_text()))) == [], path.name


def test_a_careless_workflow_would_be_refused() -> None:
    careless = {
        "permissions": "write-all",
        "jobs": {
            "a": {
                "steps": [
                    {"uses": "actions/checkout@v5"},
                    {"run": "echo ${{ github.event.issue.title }}"},
                ]
            }
        },
    }
    assert len(list(complaints(careless))) == 4


def test_ci_runs_on_the_agreed_branches(ci) -> None:
    # YAML 1.1 reads the key `on` as true.
    assert ci[True] == {
        "push": {"branches": ["main", "develop", "qa"]},
        "pull_request": {"branches": ["main"]},
    }


def test_ci_checks_and_tests_with_the_commands_of_the_readme(ci) -> None:
    commands = {job: {step.get("run") for step in ci["jobs"][job]["steps"]} for job in ci["jobs"]}
    assert {"make setup", "make check"} <= commands["check"]
    assert "make test" in commands["test"]


def test_ci_tests_every_python_we_promise(ci) -> None:
    assert ci["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
