"""One service's PostgreSQL schema: transactions, tables, migrations.

The only place where a commit happens.
"""

from seda_db.after_commit import Transaction, after_commit
from seda_db.database import Database
from seda_db.driver import DriverTransaction, OneRead
from seda_db.errors import DatabaseUnavailable, StatementFailed
from seda_db.tables import table_base

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "DriverTransaction",
    "OneRead",
    "StatementFailed",
    "Transaction",
    "after_commit",
    "table_base",
]
