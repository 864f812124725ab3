"""JSON Schema (2020-12) of what is published, for readers who are not written in Python.

Unknown properties are allowed everywhere: a field added within a major version must not make an
older reader refuse the payload.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from seda_contracts.base import Contract

Schema = dict[str, Any]


def json_schema(contract: type[Contract]) -> Schema:
    """One self-contained document; structs inside it are under `$defs`."""
    (_,), components = msgspec.json.schema_components([contract], ref_template="#/$defs/{name}")
    own = {key: value for key, value in components.pop(contract.__name__).items() if key != "title"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://seda.fm/schemas/{contract.TYPE}.json",
        "title": contract.TYPE,
        **own,
        **({"$defs": components} if components else {}),
    }


def shared_schemas(contracts: Iterable[type[Contract]], ref_template: str) -> dict[str, Schema]:
    """Every struct of these contracts once, by name; they refer to each other by the template."""
    _, components = msgspec.json.schema_components(list(contracts), ref_template=ref_template)
    return components
