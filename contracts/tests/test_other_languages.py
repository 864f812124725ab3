"""What readers outside Python are given, judged by the tools that they use."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from seda_contracts import asyncapi

CONTRACTS = Path(__file__).parents[1]
NodeRun = Callable[..., CompletedProcess[str]]
TSC = "infra/node/node_modules/typescript/bin/tsc"
READER = """
import { SUBJECTS, type DataOf } from "./events";

const sent = (body: string): DataOf["chat.message.sent.v1"] => JSON.parse(body);
export const shared: readonly string[] = sent("{}").links.map((link) => link.url);
export const subject: "seda.evt.chat.message.sent.v1.*" = SUBJECTS["chat.message.sent.v1"];
"""


def refused(node: NodeRun, *documents: Path) -> dict[str, list[str]]:
    """What the official AsyncAPI parser holds against each document."""
    done = node("infra/node/validate.mjs", *documents)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def planted(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """One of our documents, with a fault in it."""
    document = copy.deepcopy(asyncapi.service_document("crawler"))
    change(document)
    (folder / name).write_text(json.dumps(document))
    return folder / name


def test_every_asyncapi_document_is_what_the_official_parser_expects(node: NodeRun) -> None:
    documents = sorted((CONTRACTS / "asyncapi").glob("*.json"))
    assert len(documents) == len(asyncapi.services()) + 2
    assert refused(node, *documents) == {str(document): [] for document in documents}


def test_the_official_parser_refuses_words_of_version_two_and_references_to_nothing(
    node: NodeRun, tmp_path: Path
) -> None:
    def speak_version_two(document: dict[str, Any]) -> None:
        next(iter(document["operations"].values()))["action"] = "publish"

    def point_at_nothing(document: dict[str, Any]) -> None:
        channel = next(iter(document["operations"].values()))["channel"]
        channel["$ref"] = "#/channels/nowhere"

    old = planted(tmp_path, "old.json", speak_version_two)
    dangling = planted(tmp_path, "dangling.json", point_at_nothing)
    faults = refused(node, old, dangling)
    assert "action" in " ".join(faults[str(old)])
    assert "nowhere" in " ".join(faults[str(dangling)])


def test_the_typescript_types_compile_with_a_reader_of_them(node: NodeRun, tmp_path: Path) -> None:
    (tmp_path / "events.ts").write_text((CONTRACTS / "typescript/events.ts").read_text())
    (tmp_path / "reader.ts").write_text(READER)
    done = node(TSC, "--strict", "--noEmit", tmp_path / "reader.ts")
    assert done.returncode == 0, done.stdout


def test_the_compiler_refuses_a_reader_of_a_field_that_is_not_there(
    node: NodeRun, tmp_path: Path
) -> None:
    (tmp_path / "events.ts").write_text((CONTRACTS / "typescript/events.ts").read_text())
    (tmp_path / "reader.ts").write_text(READER.replace("link.url", "link.text"))
    done = node(TSC, "--strict", "--noEmit", tmp_path / "reader.ts")
    assert "Property 'text' does not exist" in done.stdout
