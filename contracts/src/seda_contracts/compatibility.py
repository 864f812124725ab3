"""What may change within a major version: optional fields may be added, and nothing else.

During a deploy, and for as long as a stream keeps its messages, both directions are real: today's
readers meet yesterday's payloads, and yesterday's readers meet today's. So each is asked in turn
whether every payload one schema describes is accepted by the other.
"""

from collections.abc import Iterator

from seda_contracts.schema import Schema

LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EQUAL = ("format", "pattern", "multipleOf", "const")


def breaking_changes(yesterday: Schema, today: Schema) -> list[str]:
    """Empty when `today` may be published under the same type as `yesterday`."""
    kept = set(_fields("", today, today))
    found = [
        # An optional field may be absent, but somebody may read it.
        *(
            f"{field} was removed"
            for field in _fields("", yesterday, yesterday)
            if field not in kept
        ),
        *(f"today's reader: {fault}" for fault in refusals(yesterday, today)),
        *(f"yesterday's reader: {fault}" for fault in refusals(today, yesterday)),
    ]
    return list(dict.fromkeys(found))


def refusals(written: Schema, read: Schema) -> list[str]:
    """Why a reader of `read` could refuse something that is sound by `written`."""
    return list(_refused("", written, read, written, read))


def _refused(where: str, w: Schema, r: Schema, written: Schema, read: Schema) -> Iterator[str]:
    w, r = _follow(w, written), _follow(r, read)
    readable = _choices(r, read)
    for choice in _single_values(_choices(w, written)):
        faults = [list(_refused_one(where, choice, other, written, read)) for other in readable]
        if not any(fault == [] for fault in faults):
            # The nearest of the choices explains best what is wrong.
            yield from min(faults, key=len)


def _refused_one(where: str, w: Schema, r: Schema, written: Schema, read: Schema) -> Iterator[str]:
    name = where or "payload"
    if "enum" in r:
        unknown = [value for value in w.get("enum", ["any value"]) if value not in r["enum"]]
        if unknown:
            yield f"{name} does not know {unknown}"
        return
    expected = {"number": {"number", "integer"}}.get(_type(r), {_type(r)})
    if _type(w) not in expected and _type(r) != "any":
        yield f"{name} is {_type(w)}, expected {_type(r)}"
        return
    yield from _bounds(name, w, r)
    for field in r.get("required", ()):
        if field not in w.get("required", ()):
            yield f"{_below(where, field)} is required and may be absent"
    for field, value in r.get("properties", {}).items():
        if field in w.get("properties", {}):
            there = w["properties"][field]
            yield from _refused(_below(where, field), there, value, written, read)
    for inner in ("items", "additionalProperties"):
        if isinstance(r.get(inner), dict):
            yield from _refused(f"{where}[]", w.get(inner, {}), r[inner], written, read)


def _bounds(name: str, w: Schema, r: Schema) -> Iterator[str]:
    for word in LOWER:
        if word in r and w.get(word, float("-inf")) < r[word]:
            yield f"{name} has {word} {r[word]}"
    for word in UPPER:
        if word in r and w.get(word, float("inf")) > r[word]:
            yield f"{name} has {word} {r[word]}"
    for word in EQUAL:
        if word in r and w.get(word) != r[word]:
            yield f"{name} has {word} {r[word]!r}"


def _fields(where: str, schema: Schema, root: Schema) -> Iterator[str]:
    """Paths of all fields, those of lists and of optional structs too."""
    for choice in _choices(_follow(schema, root), root):
        for field, value in choice.get("properties", {}).items():
            yield _below(where, field)
            yield from _fields(_below(where, field), value, root)
        if isinstance(choice.get("items"), dict):
            yield from _fields(f"{where}[]", choice["items"], root)


def _follow(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _choices(schema: Schema, root: Schema) -> list[Schema]:
    return [_follow(choice, root) for choice in schema.get("anyOf", [schema])]


def _single_values(choices: list[Schema]) -> Iterator[Schema]:
    """An enum as one choice per value, so that each may be accepted by another choice."""
    for choice in choices:
        yield from ({"enum": [value]} for value in choice["enum"]) if "enum" in choice else [choice]


def _type(schema: Schema) -> str:
    if "enum" in schema:
        value = schema["enum"][0]
        return {str: "string", int: "integer", type(None): "null"}[type(value)]
    return str(schema.get("type", "any"))


def _below(where: str, field: str) -> str:
    return f"{where}.{field}" if where else field
