"""Alembic's entry; everything that matters is in seda_db."""

from auth_gateway.tables import Table
from seda_db.migrations import run_env

run_env(Table.metadata)
