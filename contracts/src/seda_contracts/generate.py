"""Write what is generated from the registry: schemas, AsyncAPI documents, TypeScript types.

`python -m seda_contracts.generate contracts`; `make generate` does it. The files are committed, so
that a change of a contract is read as a change of what subscribers see.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from seda_contracts import asyncapi, realtime_document, realtime_typescript, typescript
from seda_contracts.registry import REGISTRY
from seda_contracts.schema import json_schema

FOLDERS = ("schemas", "asyncapi", "typescript")
"""Held whole: a file there that nothing generates is deleted."""


def files() -> dict[str, str]:
    """Path below `contracts/` -> text."""
    schemas = {
        f"schemas/{entry.contract.TYPE}.json": _json(json_schema(entry.contract))
        for entry in REGISTRY
    }
    documents = {
        f"asyncapi/{service}.json": _json(asyncapi.service_document(service))
        for service in asyncapi.services()
    }
    return {
        **schemas,
        **documents,
        "asyncapi/system.json": _json(asyncapi.system_document()),
        "asyncapi/socket.json": _json(realtime_document.document()),
        "typescript/events.ts": typescript.module(),
        "typescript/socket.ts": realtime_typescript.module(),
    }


def differences(folder: Path) -> list[str]:
    """Files that are missing, stale or left over; empty when the folder is up to date."""
    expected = files()
    present = {
        path.relative_to(folder).as_posix()
        for name in FOLDERS
        for path in (folder / name).rglob("*")
        if path.is_file()
    }
    stale = {
        name for name in present & set(expected) if (folder / name).read_text() != expected[name]
    }
    return sorted(stale | (present ^ set(expected)))


def write(folder: Path) -> None:
    expected = files()
    for name in differences(folder):
        path = folder / name
        if name in expected:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected[name])
        else:
            path.unlink()


def _json(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
