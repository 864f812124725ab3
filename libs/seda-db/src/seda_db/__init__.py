"""One service's PostgreSQL schema: transactions, tables, migrations.

The only place where a commit happens.
"""

from seda_db.database import Database, DatabaseUnavailable
from seda_db.tables import table_base

__all__ = ["Database", "DatabaseUnavailable", "table_base"]
