"""The service image: reproducible from the lock, without root, stoppable by one signal."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest


def instructions(text: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, arguments) with continued lines joined and comments dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (word.upper(), rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def complaints(text: str) -> Iterator[str]:
    steps = instructions(text)
    users = [arguments for word, arguments in steps if word == "USER"]
    if not users or users[-1].split(":")[0] in {"root", "0"}:
        yield "the last USER must be a number other than 0: Kubernetes refuses to trust a name"
    elif not users[-1].split(":")[0].isdigit():
        yield "USER must be a number: runAsNonRoot cannot check a name"
    for word, arguments in steps:
        if word in {"ENTRYPOINT", "CMD"} and not arguments.startswith("["):
            yield f"{word} must be a JSON list: a shell as process 1 swallows SIGTERM"
        installs_lock = (
            word == "RUN" and "install" in arguments and "requirements.lock" in arguments
        )
        if installs_lock and "--require-hashes" not in arguments:
            yield "the lock must be installed with --require-hashes"
        if word == "RUN" and "./services/" in arguments and "--no-editable" not in arguments:
            yield "workspace packages must be copied in: an editable one points to a lost stage"
        if word == "RUN" and re.search(r"\bcurl\b|\bwget\b", arguments):
            yield "no download tool: what the image needs comes from the lock"
    if "HEALTHCHECK" not in {word for word, _ in steps}:
        yield "a HEALTHCHECK is missing"


@pytest.fixture(scope="module")
def dockerfile(root) -> str:
    return (root / "infra/docker/service.Dockerfile").read_text()


def test_the_dockerfile_keeps_the_rules(dockerfile) -> None:
    assert list(complaints(dockerfile)) == []


def test_the_health_check_asks_for_liveness_without_a_shell(dockerfile) -> None:
    checks = [arguments for word, arguments in instructions(dockerfile) if word == "HEALTHCHECK"]
    command = json.loads(checks[0].partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    assert "/livez" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")


def test_the_entry_point_runs_the_package_of_the_image_with_its_arguments(root) -> None:
    done = subprocess.run(
        [sys.executable, root / "infra/docker/launch.py", "--indent", "1"],
        check=True,
        capture_output=True,
        text=True,
        input='{"a":1}',
        env={**os.environ, "SEDA_PACKAGE": "json.tool"},
    )
    assert done.stdout == '{\n "a": 1\n}\n'


def test_a_careless_dockerfile_would_be_refused() -> None:
    careless = (
        "FROM python:3.13-slim\n"
        "RUN curl https://example.org/install.sh\n"
        "RUN pip install --requirement requirements.lock\n"
        "RUN uv pip install ./services/crawler\n"
        "ENTRYPOINT python -m crawler\n"
    )
    assert len(list(complaints(careless))) == 6


def test_the_context_holds_nothing_that_the_image_does_not_need(root) -> None:
    """Everything is ignored first, so a secret or a database beside the code is never sent."""
    lines = (root / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    assert {line for line in lines if line.startswith("!")} == {
        "!pyproject.toml",
        "!contracts",
        "!libs",
        "!services",
        "!infra/docker",
    }
