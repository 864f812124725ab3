"""The client in TypeScript, compiled by the pinned compiler and tried by its own tests."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[1]
CLIENT = CONTRACTS / "typescript-client"
TSC = "infra/node/node_modules/typescript/bin/tsc"
NodeRun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def built(node: NodeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client")
    done = node(TSC, "--project", CLIENT, "--outDir", folder)
    assert done.returncode == 0, done.stdout
    (folder / "package.json").write_text('{"type": "module"}')
    return folder / "typescript-client/src/index.js"


def test_it_decides_as_the_protocol_says(built: Path, node_command: str) -> None:
    done = subprocess.run(
        [node_command, "--test", *sorted((CLIENT / "tests").glob("*.test.mjs"))],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "SEDA_CLIENT": str(built)},
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"pass (\d+)", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 0


def test_it_needs_nothing_at_run_time(built: Path) -> None:
    imported = {
        name
        for file in built.parents[2].rglob("*.js")
        for name in re.findall(r'from "([^"]+)"', file.read_text())
    }
    assert {name for name in imported if not name.startswith(".")} == set()


def example(folder: Path, text: str) -> list[str | Path]:
    """The first example of the README beside the client, and how to compile it strictly."""
    (folder / "example.ts").write_text(text)
    paths = f'{{"seda-realtime": ["{CLIENT}/src/index.ts"]}}'
    (folder / "tsconfig.json").write_text(
        f'{{"extends": "{CLIENT}/tsconfig.json", "files": ["example.ts"], "include": [],'
        f' "compilerOptions": {{"noEmit": true, "rootDir": "/", "paths": {paths}}}}}'
    )
    return ["--project", folder]


def first_example() -> str:
    found = re.search(r"```ts\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_first_example_compiles(node: NodeRun, tmp_path: Path) -> None:
    done = node(TSC, *example(tmp_path, first_example()))
    assert done.returncode == 0, done.stdout


def test_an_example_that_reads_a_field_of_another_event_does_not_compile(
    node: NodeRun, tmp_path: Path
) -> None:
    wrong = first_example().replace('"message.created"', '"member.left"')
    done = node(TSC, *example(tmp_path, wrong))
    assert "does not exist" in done.stdout
