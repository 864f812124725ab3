"""What the contracts say of themselves in their own source: docstrings of classes and of fields.

There is no second description of an event that could come to say something else.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import msgspec
import seda_contracts
from msgspec import inspect as types
from seda_contracts import registry
from seda_contracts.base import Contract

EXAMPLES = Path(seda_contracts.__file__).parents[2] / "examples"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a body, or one inside another: `links[].url`."""

    name: str
    type: str
    required: bool
    meaning: str


def meaning_of(contract: type[Contract]) -> str:
    """Its own docstring, or what its kind and its file say of it."""
    if contract.__doc__:
        return inspect.cleandoc(contract.__doc__)
    module = inspect.getmodule(contract)
    texts = (contract.__base__.__doc__ if contract.__base__ else None, module and module.__doc__)
    return "\n\n".join(inspect.cleandoc(text) for text in texts if text)


def fields_of(contract: type[Contract]) -> list[Field]:
    described = types.type_info(contract)
    assert isinstance(described, types.StructType)
    return list(_fields(described, ""))


def _fields(struct: types.StructType, prefix: str) -> Iterator[Field]:
    module = inspect.getmodule(struct.cls)
    meanings = docstrings(module, struct.cls.__name__) if module else {}
    for field in struct.fields:
        yield Field(
            name=prefix + field.name,
            type=type_name(field.type),
            required=field.required,
            meaning=meanings.get(field.name, ""),
        )
        yield from _inside(field.type, prefix + field.name)


def _inside(described: types.Type, name: str) -> Iterator[Field]:
    match described:
        case types.StructType():
            yield from _fields(described, f"{name}.")
        case types.ListType(item_type=item):
            yield from _inside(item, f"{name}[]")
        case types.UnionType(types=options):
            for option in options:
                yield from _inside(option, name)


def type_name(described: types.Type) -> str:
    """As JSON has it: `uuid`, `list of string`, `integer or null`, `"ok" | "partial"`."""
    match described:
        case types.StructType(cls=cls):
            return cls.__name__
        case types.ListType(item_type=item):
            return f"list of {type_name(item)}"
        case types.UnionType(types=options):
            return " or ".join(type_name(option) for option in options)
        case types.LiteralType(values=values):
            return " | ".join(f'"{value}"' for value in values)
        case types.DictType(value_type=value):
            return f"map to {type_name(value)}"
    name = type(described).__name__.removesuffix("Type").lower()
    return {"str": "string", "int": "integer", "bool": "boolean", "none": "null"}.get(name, name)


def delivery_class_meaning(letter: str) -> str:
    """What the registry says of a class, on one line."""
    text = docstrings(registry, None)["DeliveryClass"]
    found = re.search(rf"^{letter}: (.*?)(?=^[A-D]: |\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


@cache
def docstrings(module: ModuleType, struct: str | None) -> dict[str, str]:
    """Name -> the string that stands below it, in a class or in the module itself."""
    body: list[ast.stmt] = ast.parse(inspect.getsource(module)).body
    if struct is not None:
        body = next(s for s in body if isinstance(s, ast.ClassDef) and s.name == struct).body
    found: dict[str, str] = {}
    for statement, following in pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found
