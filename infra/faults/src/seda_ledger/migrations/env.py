"""Alembic asks here what the schema should look like; how to reach it is seda_db's."""

from seda_db.migrations import run_env

from seda_ledger.tables import Table

run_env(Table.metadata)
