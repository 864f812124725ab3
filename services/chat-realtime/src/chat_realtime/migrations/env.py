"""Alembic asks here what the schema should look like; how to reach it is seda_db's."""

from chat_realtime.tables import Table
from seda_db.migrations import run_env

run_env(Table.metadata)
