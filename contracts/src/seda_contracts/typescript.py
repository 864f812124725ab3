"""TypeScript types of what is published, for subscribers in the browser's language."""

from typing import Any

from seda_contracts.registry import REGISTRY
from seda_contracts.schema import Schema, shared_schemas

REF = "#/"
HEAD = """\
// Written by `make generate` from contracts/src; a test compares. Fields are only added within a
// major version, so ignore what you do not know.

/** A UUID in its canonical text form. */
export type Uuid = string;
/** An RFC 3339 time with its offset. */
export type Timestamp = string;
"""


def module() -> str:
    schemas = shared_schemas((entry.contract for entry in REGISTRY), REF + "{name}")
    parts = [HEAD, *(interface(name, schemas[name]) for name in sorted(schemas))]
    rows = [(entry.contract.TYPE, entry.contract) for entry in REGISTRY]
    parts.append(
        block(
            "/** The data of every type. */\nexport interface DataOf",
            [f"{quoted(name)}: {contract.__name__};" for name, contract in rows],
        )
        + "\nexport type Type = keyof DataOf;\n"
    )
    parts.append(
        block(
            "/** What to subscribe to; the last token is the key. */\nexport const SUBJECTS =",
            [f"{quoted(name)}: {quoted(contract.subject_filter())}," for name, contract in rows],
        ).rstrip()
        + " as const satisfies Record<Type, string>;\n"
    )
    return "\n".join(parts)


def interface(name: str, schema: Schema) -> str:
    required = set(schema.get("required", ()))
    fields = [
        f"readonly {field}{'' if field in required else '?'}: {_type(value)};"
        for field, value in schema["properties"].items()
    ]
    text = str(schema.get("description", ""))
    comment = f"/** {' '.join(text.split())} */\n" if text else ""
    return block(f"{comment}export interface {name}", fields)


def block(head: str, lines: list[str]) -> str:
    return "\n".join([f"{head} {{", *(f"  {line}" for line in lines), "}", ""])


def _type(schema: Schema) -> str:
    """Raises LookupError for a word of JSON Schema that no contract has used so far."""
    match schema:
        case {"$ref": ref}:
            return str(ref).removeprefix(REF)
        case {"enum": values}:
            return " | ".join(quoted(value) for value in values)
        case {"anyOf": choices}:
            return " | ".join(_type(choice) for choice in choices)
        case {"type": "array", "items": items}:
            inner = _type(items)
            return f"readonly ({inner})[]" if "|" in inner else f"readonly {inner}[]"
        case {"type": "string", "format": "uuid"}:
            return "Uuid"
        case {"type": "string", "format": "date-time"}:
            return "Timestamp"
        case {"type": "object", "additionalProperties": dict() as values}:
            return f"Readonly<Record<string, {_type(values)}>>"
        case {"type": "object"} if "properties" not in schema:
            return "Readonly<Record<string, unknown>>"
        case {"type": "integer" | "number"}:
            return "number"
        case {"type": "string" | "boolean" | "null" as name}:
            return str(name)
    if not schema:
        return "unknown"
    raise LookupError(f"no TypeScript for {schema}")


def quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
