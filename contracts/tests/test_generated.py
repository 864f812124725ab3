"""What is generated says what the registry says, in the words of each standard."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from seda_contracts import asyncapi, generate, realtime, realtime_typescript, typescript
from seda_contracts.realtime_codes import CLOSES, ERRORS
from seda_contracts.realtime_events import EPHEMERALS, EVENTS, REPLIES, STATES
from seda_contracts.registry import BY_TYPE, REGISTRY
from seda_contracts.schema import json_schema

DOCUMENTS = {
    "system": asyncapi.system_document(),
    **{service: asyncapi.service_document(service) for service in asyncapi.services()},
}
REFERENCE = {
    "type": "object",
    "required": ["$ref"],
    "additionalProperties": False,
    "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
}
SHAPE = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "channels": {
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages", "parameters", "x-delivery-class", "x-stream"],
                "properties": {"messages": {"additionalProperties": REFERENCE}},
            }
        },
        "operations": {
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel", "messages"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": {"type": "array", "items": REFERENCE, "minItems": 1},
                },
            }
        },
        "components": {
            "type": "object",
            "additionalProperties": {"propertyNames": {"pattern": r"^[\w\d.\-_]+$"}},
        },
    },
}
"""What the AsyncAPI 3.0 specification asks of the members that we use."""


def references(node: Any) -> set[str]:
    match node:
        case dict():
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*map(references, node.values()))
        case list():
            return set().union(*map(references, node))
        case _:
            return set()


def resolves(document: Any, reference: str) -> bool:
    for token in reference.removeprefix("#/").split("/"):
        if token not in document:
            return False
        document = document[token]
    return True


def addresses_of(document: dict[str, Any]) -> set[str]:
    return {channel["address"] for channel in document["channels"].values()}


def faults(document: dict[str, Any]) -> list[str]:
    shape = [error.message for error in Draft202012Validator(SHAPE).iter_errors(document)]
    broken = [ref for ref in references(document) if not resolves(document, ref)]
    loose = [
        address
        for address, channel in ((c["address"], c) for c in document["channels"].values())
        if set(re.findall(r"{(\w+)}", address)) != set(channel["parameters"])
    ]
    return shape + broken + loose


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_asyncapi_document_follows_its_specification(name: str) -> None:
    assert faults(DOCUMENTS[name]) == []


def test_faults_of_a_document_would_be_seen() -> None:
    planted = {
        "asyncapi": "2.6.0",
        "info": {"title": "x", "version": "1"},
        "channels": {},
        "operations": {"x": {"action": "send", "channel": {"$ref": "#/channels/x"}}},
        "components": {},
    }
    assert len(faults(planted)) == 3


def test_the_system_document_has_every_sender_and_every_receiver() -> None:
    operations = set(DOCUMENTS["system"]["operations"])
    sent = {f"{p}.send.{e.contract.TYPE}" for e in REGISTRY for p in e.producers}
    received = {f"{c}.receive.{e.contract.TYPE}" for e in REGISTRY for c in e.consumers}
    assert operations == sent | received
    assert {"verification.send.crawl.fetch.v1", "crawler.send.crawl.fetch.v1"} <= sent


def test_a_service_document_holds_what_concerns_it_and_no_more() -> None:
    document = DOCUMENTS["user-artist"]
    assert "seda.evt.auth.account.registered.v1.{user_id}" in addresses_of(document)
    assert not any("chat.message" in address for address in addresses_of(document))
    assert "TrackCard" not in document["components"]["schemas"]


@pytest.mark.parametrize("type_name", BY_TYPE)
def test_a_schema_is_sound_and_names_times_and_ids(type_name: str) -> None:
    """Without a format a subscriber in another language gets a string and has to guess."""
    schema = json_schema(BY_TYPE[type_name].contract)
    Draft202012Validator.check_schema(schema)
    assert all(resolves(schema, reference) for reference in references(schema))
    for struct in (schema, *schema.get("$defs", {}).values()):
        for name, value in struct["properties"].items():
            if name.endswith("_at") or name == "until":
                assert "'date-time'" in repr(value), name
            if name.endswith("_id") and name != "provider_id":
                assert "'uuid'" in repr(value), name


def test_typescript_has_every_type_and_only_known_names() -> None:
    text = typescript.module()
    declared = set(re.findall(r"^export (?:interface|type) (\w+)", text, re.MULTILINE))
    assert {entry.contract.__name__ for entry in REGISTRY} <= declared
    fields = re.sub('"[^"]*"', "", " ".join(re.findall(r": (.*);$", text, re.MULTILINE)))
    assert set(re.findall(r"\b[A-Z]\w+", fields)) <= declared
    for type_name, entry in BY_TYPE.items():
        assert f'"{type_name}": "{entry.contract.subject_filter()}"' in text


def test_typescript_of_the_socket_has_every_word_and_only_known_names() -> None:
    text = realtime_typescript.module()
    declared = set(re.findall(r"^export (?:interface|type) (\w+)", text, re.MULTILINE))
    fields = re.sub('"[^"]*"', "", " ".join(re.findall(r": (.*);$", text, re.MULTILINE)))
    assert set(re.findall(r"\b[A-Z]\w+", fields)) <= declared | {"Readonly", "Record"}
    rows = {**realtime.BODIES, **REPLIES, **EVENTS, **STATES, **EPHEMERALS}
    assert [f'"{name}": {rows[name].__name__};' for name in rows if f'"{name}":' not in text] == []
    assert [code for code in CLOSES if f"  {code}: {{" not in text] == []
    assert [code for code in ERRORS if f'  "{code}": "{ERRORS[code]}",' not in text] == []


def test_a_word_without_typescript_is_refused() -> None:
    with pytest.raises(LookupError, match="no TypeScript"):
        typescript._type({"type": "array", "prefixItems": []})


def test_writing_mends_what_is_missing_stale_or_left_over(tmp_path: Path) -> None:
    generate.write(tmp_path)
    assert generate.differences(tmp_path) == []
    (tmp_path / "schemas/user.v1.json").write_text("{}")
    (tmp_path / "schemas/gone.v1.json").write_text("{}")
    (tmp_path / "typescript/events.ts").unlink()
    changed = ["schemas/gone.v1.json", "schemas/user.v1.json", "typescript/events.ts"]
    assert generate.differences(tmp_path) == changed
    generate.write(tmp_path)
    assert generate.differences(tmp_path) == []
