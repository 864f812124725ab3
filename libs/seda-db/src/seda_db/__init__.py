"""One service's PostgreSQL schema: transactions, tables, migrations."""
