"""Contracts as subscribers see them: what is committed is what the code says."""

from seda_contracts import generate


def test_schemas_documents_and_types_are_what_the_registry_says(root) -> None:
    """`make generate` writes them anew; a stale one tells subscribers a lie."""
    assert generate.differences(root / "contracts") == []
