"""Contracts as subscribers see them: told truly, and never broken within a major version.

Old and new run side by side during every deploy, and a stream keeps what was published weeks ago.
So today's code decodes every example ever committed, and yesterday's schema, taken from the merge
base, accepts what today's code writes. Anything else is a new type with the next major version.
"""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from seda_contracts import generate
from seda_contracts.compatibility import breaking_changes
from seda_contracts.registry import BY_TYPE, RETIRED, Entry
from seda_contracts.schema import json_schema

FORMATS = FormatChecker()
Files = dict[str, str]
"""Path below `contracts/schemas` or `contracts/examples` -> text."""


@FORMATS.checks("date-time", raises=ValueError)
def is_time_with_offset(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def git(root: Path, *arguments: str) -> bytes | None:
    """What git says of the repository around `root`, or nothing where it refuses.

    Inside a hook git names another repository through the environment, and would be obeyed.
    """
    here = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=root, env=here, check=False, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def yesterday(root: Path) -> str | None:
    """The commit to compare with: where this branch left main. On main, what was there before."""
    head = commit_of(root, "HEAD")
    bases = {
        base.decode().strip()
        for branch in ("origin/main", "main")
        if (base := git(root, "merge-base", "HEAD", branch)) is not None
    }
    if bases and head not in bases:
        # Of a stale copy of main and a current one, the current one is nearer.
        return min(bases, key=lambda base: int(git(root, "rev-list", "--count", f"{base}..HEAD")))
    is_changing = git(root, "diff", "--quiet", "HEAD", "--", "contracts") is None
    return head if is_changing else commit_of(root, "HEAD^") or head


def commit_of(root: Path, name: str) -> str | None:
    found = git(root, "rev-parse", "--verify", "--quiet", name)
    return found.decode().strip() if found else None


def committed(root: Path, commit: str | None, folder: str) -> Files:
    """Files of a commit; those of the working tree where there is no history."""
    if commit is None:
        return present(root, folder)
    archive = git(root, "archive", "--format=tar", commit, folder)
    if archive is None:  # the folder was not there yet
        return {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name.removeprefix(f"{folder}/"): tar.extractfile(member).read().decode()
            for member in tar
            if member.isfile()
        }


def present(root: Path, folder: str) -> Files:
    files = (path for path in sorted((root / folder).rglob("*")) if path.is_file())
    return {path.relative_to(root / folder).as_posix(): path.read_text() for path in files}


def schemas_of(files: Files) -> dict[str, dict]:
    return {path.removesuffix(".json"): json.loads(text) for path, text in files.items()}


def broken_types(before: Mapping[str, dict], after: Mapping[str, dict], retired: Iterable[str]):
    faults = []
    for name, schema in before.items():
        if name in after:
            faults += [f"{name}: {fault}" for fault in breaking_changes(schema, after[name])]
        elif name not in retired:
            faults.append(f"{name}: is gone; when nobody reads it any more, list it in RETIRED")
    return faults


def rewritten_examples(before: Files, after: Files, retired: Iterable[str]) -> list[str]:
    return [
        f"{path}: {'was changed' if path in after else 'was deleted'}; examples are only added"
        for path, text in before.items()
        if after.get(path) != text and path.partition("/")[0] not in retired
    ]


def rewritten(entry: Entry, text: str) -> object:
    """The payload as today's code writes it after reading it."""
    return json.loads(entry.contract.decode(text.encode()).encode())


def keeps(example: object, written: object) -> bool:
    """Whether all of an example is still there; what has a default may have come beside it."""
    match example, written:
        case dict(), dict():
            return all(name in written and keeps(example[name], written[name]) for name in example)
        case list(), list():
            return len(example) == len(written) and all(map(keeps, example, written))
        case _:
            return example == written


def undecodable_examples(examples: Files) -> list[str]:
    faults = []
    for path, text in examples.items():
        entry = BY_TYPE.get(path.partition("/")[0])
        try:
            if entry is None:
                faults.append(f"{path}: no such type")
            elif not keeps(json.loads(text), rewritten(entry, text)):
                faults.append(f"{path}: today's code loses or alters something")
        except msgspec.DecodeError as error:
            faults.append(f"{path}: {error}")
    return faults


def refused_payloads(examples: Files, schemas: Mapping[str, dict]) -> list[str]:
    """Payloads as today's code writes them that these schemas do not accept."""
    faults = []
    for path, text in examples.items():
        name = path.partition("/")[0]
        if name in schemas and name in BY_TYPE:
            payload = rewritten(BY_TYPE[name], text)
            validator = Draft202012Validator(schemas[name], format_checker=FORMATS)
            faults += [f"{path}: {error.message}" for error in validator.iter_errors(payload)]
    return faults


def incomplete_types(examples: Files, types: Iterable[str]) -> list[str]:
    """Types without an example of only what is required, or without one of every field."""
    faults = []
    for name in types:
        fields = set(json_schema(BY_TYPE[name].contract)["properties"])
        required = set(json_schema(BY_TYPE[name].contract)["required"])
        shown = [set(json.loads(t)) for path, t in examples.items() if path.startswith(f"{name}/")]
        if required not in shown:
            faults.append(f"{name}: no example of only what is required")
        if fields not in shown:
            faults.append(f"{name}: no example with every field; add a file beside full.json")
    return faults


def today() -> dict[str, dict]:
    return {name: json_schema(entry.contract) for name, entry in BY_TYPE.items()}


def test_schemas_documents_and_types_are_what_the_registry_says(root) -> None:
    """`make generate` writes them anew; a stale one tells subscribers a lie."""
    stale = generate.differences(root / "contracts")
    assert not stale, "\n".join(stale)


def test_todays_code_decodes_every_example_ever_committed(root) -> None:
    """What lies in a stream was written by yesterday's code."""
    examples = present(root, "contracts/examples")
    before = committed(root, yesterday(root), "contracts/examples")
    # Frames of the socket are no events: contracts/tests/test_realtime.py judges them.
    events = {path: text for path, text in examples.items() if not path.startswith("socket/")}
    faults = undecodable_examples(events) + rewritten_examples(before, examples, RETIRED)
    assert not faults, "\n".join(faults)


def test_every_type_has_its_examples(root) -> None:
    """The least and the most that a reader must understand."""
    faults = incomplete_types(present(root, "contracts/examples"), BY_TYPE)
    assert not faults, "\n".join(faults)


def test_yesterdays_schema_accepts_todays_payload(root) -> None:
    """Make it a new type with the next major version: contracts/README.md, "Evolve an event"."""
    before = schemas_of(committed(root, yesterday(root), "contracts/schemas"))
    faults = broken_types(before, today(), RETIRED)
    assert not faults, "\n".join(faults)
    examples = present(root, "contracts/examples")
    refused = refused_payloads(examples, before) + refused_payloads(examples, today())
    assert not refused, "\n".join(refused)


NAME = "user.profile.updated.v1"
EXAMPLE = (
    '{"user_id": "019aa3c0-7d40-7001-8000-000000000001", "version": 3, "changed": ["avatar_url"],'
    ' "updated_at": "2026-11-20T12:00:00Z"}'
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (EXAMPLE.replace('"version": 3, ', ""), "missing required field `version`"),
        (EXAMPLE.replace("019aa", "x"), "Invalid UUID"),
        (EXAMPLE.replace(": 3,", ': "3",'), "Expected `int`"),
        (EXAMPLE.replace("}", ', "was_once": 1}'), "loses or alters"),
    ],
)
def test_an_example_that_todays_code_cannot_decode_would_be_seen(text: str, fault: str) -> None:
    assert undecodable_examples({f"{NAME}/full.json": EXAMPLE}) == []
    (said,) = undecodable_examples({f"{NAME}/full.json": text})
    assert fault in said


def test_a_payload_that_yesterdays_schema_refuses_would_be_seen() -> None:
    schema = today()[NAME]
    examples = {f"{NAME}/full.json": EXAMPLE}
    assert refused_payloads(examples, {NAME: schema}) == []
    required = {**schema, "required": [*schema["required"], "handle"]}
    assert len(refused_payloads(examples, {NAME: required})) == 1
    fields = {**schema["properties"], "user_id": {"type": "string", "format": "date-time"}}
    assert len(refused_payloads(examples, {NAME: {**schema, "properties": fields}})) == 1


def test_a_type_without_full_examples_would_be_seen() -> None:
    full = {"auth.account.registered.v1/full.json": '{"user_id": 1, "method": 1}'}
    assert len(incomplete_types(full, ["auth.account.registered.v1"])) == 2


def test_a_breaking_change_on_a_branch_is_seen_and_a_new_major_is_not_one(tmp_path: Path) -> None:
    """With a real history: a commit on main, then a branch that breaks, deletes and rewrites."""

    def run(*arguments: str) -> None:
        who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
        assert git(tmp_path, *who, *arguments) is not None, arguments

    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    schema = today()[NAME]
    write(f"contracts/schemas/{NAME}.json", json.dumps(schema))
    write(f"contracts/examples/{NAME}/full.json", EXAMPLE)
    assert yesterday(tmp_path) is None
    assert set(committed(tmp_path, None, "contracts/schemas")) == {f"{NAME}.json"}
    run("init", "--quiet", "--initial-branch=main")
    run("add", ".")
    run("commit", "--quiet", "--message=One")
    run("checkout", "--quiet", "-b", "change")
    (tmp_path / f"contracts/examples/{NAME}/full.json").write_text(EXAMPLE.replace("3", "4", 1))
    run("commit", "--quiet", "--all", "--message=Two")

    base = yesterday(tmp_path)
    before = schemas_of(committed(tmp_path, base, "contracts/schemas"))
    assert before == {NAME: schema}
    narrowed = {**schema, "required": [*schema["required"], "handle"]}
    assert len(broken_types(before, {NAME: narrowed}, ())) == 1
    assert broken_types(before, {NAME: schema, NAME.replace("v1", "v2"): narrowed}, ()) == []
    assert len(broken_types(before, {}, ())) == 1
    assert broken_types(before, {}, (NAME,)) == []

    examples = committed(tmp_path, base, "contracts/examples")
    assert len(rewritten_examples(examples, present(tmp_path, "contracts/examples"), ())) == 1
    assert len(rewritten_examples(examples, {}, ())) == 1
    assert rewritten_examples(examples, {}, (NAME,)) == []

    run("checkout", "--quiet", "main")
    run("merge", "--quiet", "--no-ff", "--message=Three", "change")
    assert yesterday(tmp_path) == base
    write(f"contracts/examples/{NAME}/full.json", EXAMPLE)
    assert yesterday(tmp_path) == commit_of(tmp_path, "main")
    run("update-ref", "refs/remotes/origin/main", base)
    run("checkout", "--quiet", "-b", "later")
    run("commit", "--quiet", "--all", "--message=Four")
    assert yesterday(tmp_path) == commit_of(tmp_path, "main")
