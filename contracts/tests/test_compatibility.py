"""The gate between versions: what it lets through, and every kind of change it stops."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
import pytest
from jsonschema import Draft202012Validator
from seda_contracts.base import Event, Timestamp
from seda_contracts.compatibility import breaking_changes, refusals
from seda_contracts.registry import REGISTRY
from seda_contracts.schema import json_schema


class Part(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    url: str | None = None


FIELDS: dict[str, Any] = {
    "track_id": UUID,
    "kind": Literal["song", "album"],
    "rank": int,
    "score": float,
    "at": Timestamp,
    "parts": list[Part],
    "main": (Part | None, None),
    "mood": (Literal["calm", "loud"] | None, None),
    "title": (Annotated[str, msgspec.Meta(max_length=100)], ""),
}


def schema(changed: dict[str, Any] | None = None, *removed: str) -> dict[str, Any]:
    """The schema of a type with these fields; a pair is a type and its default."""
    fields = {**FIELDS, **(changed or {})}
    kept = [
        (name, *kind) if isinstance(kind, tuple) else (name, kind)
        for name, kind in fields.items()
        if name not in removed
    ]
    names = {"TYPE": "demo.track.ranked.v1", "KEY": "track_id"}
    struct = msgspec.defstruct(
        "TrackRanked", kept, bases=(Event,), namespace=names, frozen=True, kw_only=True
    )
    return json_schema(struct)


class LargerPart(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    url: str | None = None
    role: str = "artist"


class StricterPart(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    url: str


class SmallerPart(msgspec.Struct, frozen=True, kw_only=True):
    name: str


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"note": (str | None, None)},
        {"tags": (list[str], [])},
        {"parts": list[LargerPart], "main": (LargerPart | None, None)},
    ],
)
def test_optional_additions_are_compatible(changed: dict[str, Any]) -> None:
    assert breaking_changes(schema(), schema(changed)) == []


@pytest.mark.parametrize(
    ("changed", "removed", "said"),
    [
        ({}, ("rank",), "rank was removed"),
        ({}, ("mood",), "mood was removed"),
        ({"rank": str}, (), "rank is integer, expected string"),
        ({"rank": float}, (), "rank is number, expected integer"),
        ({"score": int}, (), "score is number, expected integer"),
        ({"track_id": str}, (), "track_id has format 'uuid'"),
        ({"note": str}, (), "note is required and may be absent"),
        ({"mood": Literal["calm", "loud"] | None}, (), "mood is required and may be absent"),
        ({"rank": (int, 0)}, (), "rank is required and may be absent"),
        ({"kind": Literal["song"]}, (), "kind does not know ['album']"),
        ({"kind": Literal["song", "album", "mix"]}, (), "kind does not know ['mix']"),
        ({"mood": (Literal["calm"] | None, None)}, (), "mood does not know ['loud']"),
        ({"rank": int | None}, (), "rank is null, expected integer"),
        ({"parts": list[SmallerPart]}, (), "parts[].url was removed"),
        ({"main": (SmallerPart | None, None)}, (), "main.url was removed"),
        ({"parts": list[StricterPart]}, (), "parts[].url is required and may be absent"),
        ({"parts": list[str]}, (), "parts[] is object, expected string"),
        ({"title": (Annotated[str, msgspec.Meta(max_length=50)], "")}, (), "maxLength 50"),
        ({"title": (str, "")}, (), "maxLength 100"),
    ],
)
def test_a_breaking_change_is_named(
    changed: dict[str, Any], removed: tuple[str, ...], said: str
) -> None:
    found = breaking_changes(schema(), schema(changed, *removed))
    assert any(said in fault for fault in found), found


def test_each_direction_is_asked_by_itself() -> None:
    """A narrower enum hurts today's reader, a wider one yesterday's."""
    narrow, wide = schema({"kind": Literal["song"]}), schema()
    assert refusals(narrow, wide) == []
    assert refusals(wide, narrow) == ["kind does not know ['album']"]
    assert breaking_changes(wide, narrow) == ["today's reader: kind does not know ['album']"]
    assert breaking_changes(narrow, wide) == ["yesterday's reader: kind does not know ['album']"]


def test_the_gate_agrees_with_a_validator_and_with_the_decoder() -> None:
    """What it calls compatible an independent validator accepts, and what not it refuses."""

    class Before(Event, frozen=True, kw_only=True):
        TYPE: ClassVar[str] = "demo.note.added.v1"
        KEY: ClassVar[str] = "note_id"
        note_id: UUID
        kind: Literal["song"]

    class After(Event, frozen=True, kw_only=True):
        TYPE: ClassVar[str] = "demo.note.added.v1"
        KEY: ClassVar[str] = "note_id"
        note_id: UUID
        kind: Literal["song", "mix"]

    body = After(note_id=UUID(int=1), kind="mix").encode()
    assert breaking_changes(json_schema(Before), json_schema(After)) != []
    assert not Draft202012Validator(json_schema(Before)).is_valid(msgspec.json.decode(body))
    with pytest.raises(msgspec.ValidationError):
        Before.decode(body)


def test_every_contract_is_compatible_with_itself() -> None:
    for entry in REGISTRY:
        found = json_schema(entry.contract)
        assert breaking_changes(found, found) == [], entry.contract.TYPE
