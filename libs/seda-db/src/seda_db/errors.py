"""What goes wrong with a database, by one name."""

from asyncpg import PostgresError


class DatabaseUnavailable(ConnectionError):
    """PostgreSQL did not answer, or every connection of the pool is taken. Worth a retry."""


class StatementFailed(Exception):
    """PostgreSQL refused a statement. Says why without the values, which are what people wrote."""

    def __init__(self, error: PostgresError) -> None:
        constraint = getattr(error, "constraint_name", None)
        named = f" ({constraint})" if constraint else ""
        super().__init__(f"{type(error).__name__} {error.sqlstate}{named}")
