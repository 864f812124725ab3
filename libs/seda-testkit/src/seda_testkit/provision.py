"""One database, and per service a schema with two roles: the only place this SQL is written.

`<schema>_owner` owns the schema and migrates it; `<schema>_app` reads and writes rows and nothing
else. The development runner and the tests execute it, compose and operators print it:
`python -m seda_testkit.provision --sql > infra/postgres/init.sql`.
"""

import argparse
import secrets
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg

DATABASE = "seda"
APP_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}


def role_names(schema: str) -> tuple[str, str]:
    return f"{schema}_owner", f"{schema}_app"


def new_passwords(schemas: Iterable[str]) -> dict[str, str]:
    """A fresh password per role; safe inside an SQL literal and a URL."""
    return {role: secrets.token_urlsafe(24) for schema in schemas for role in role_names(schema)}


def roles_sql(schemas: Iterable[str], password_literals: Mapping[str, str]) -> str:
    """The roles of the whole server; may run again, then it only renews passwords and limits.

    The owner has no search_path of its own: migrations name their schema, and comparing tables
    with a migrated schema is only right while that schema is not the default one.
    """
    lines: list[str] = []
    for schema in schemas:
        for role in role_names(schema):
            lines.append(
                f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
                f"THEN CREATE ROLE {role} LOGIN; END IF; END $$;"
            )
            lines.append(f"ALTER ROLE {role} LOGIN PASSWORD {password_literals[role]};")
        _, app = role_names(schema)
        lines.append(f"ALTER ROLE {app} SET search_path = {schema};")
        lines += [f"ALTER ROLE {app} SET {name} = '{to}';" for name, to in APP_SETTINGS.items()]
    return "\n".join(lines) + "\n"


def schemas_sql(schemas: Iterable[str]) -> str:
    """Schemas and grants inside one database; may run again."""
    lines = [
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;",
        "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', "
        "current_database()); END $$;",
        # Extensions belong to the database's administrator; a schema owner may only use them.
        "CREATE SCHEMA IF NOT EXISTS extensions;",
        "GRANT USAGE ON SCHEMA extensions TO PUBLIC;",
        "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions;",
    ]
    for schema in schemas:
        owner, app = role_names(schema)
        future = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}"
        lines += [
            f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};",
            f"GRANT USAGE ON SCHEMA {schema} TO {app};",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {app};",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {app};",
            f"{future} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};",
            f"{future} GRANT USAGE, SELECT ON SEQUENCES TO {app};",
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class RoleUrls:
    """How a service reaches its schema, and how its migrations do."""

    owner_url: str
    app_url: str


def role_urls(
    admin_url: str, schema: str, passwords: Mapping[str, str], *, database: str = DATABASE
) -> RoleUrls:
    owner, app = role_names(schema)
    return RoleUrls(
        owner_url=_with_login(admin_url, owner, passwords[owner], database),
        app_url=_with_login(admin_url, app, passwords[app], database),
    )


def in_database(admin_url: str, database: str) -> str:
    """The same server and login, another database."""
    parts = urlsplit(admin_url)
    return parts._replace(path=f"/{database}").geturl()


async def provision(
    admin_url: str,
    schemas: Iterable[str],
    passwords: Mapping[str, str],
    *,
    database: str = DATABASE,
) -> None:
    """Bring a server to that state, by an administrator's login. May run again at every start."""
    schemas = tuple(schemas)
    connection = await asyncpg.connect(admin_url)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database)
        if known is None:
            await connection.execute(f'CREATE DATABASE "{database}"')
        literals = {role: f"'{password}'" for role, password in passwords.items()}
        await connection.execute(roles_sql(schemas, literals))
    finally:
        await connection.close()
    connection = await asyncpg.connect(in_database(admin_url, database))
    try:
        await connection.execute(schemas_sql(schemas))
    finally:
        await connection.close()


def psql_script(schemas: Iterable[str]) -> str:
    """The same for psql 15 or newer, every password read from the environment.

    AUTH_APP_PASSWORD is the password of role auth_app, and so on.
    """
    schemas = tuple(schemas)
    roles = [role for schema in schemas for role in role_names(schema)]
    reads = "\n".join(f"\\getenv {role}_password {role.upper()}_PASSWORD" for role in roles)
    literals = {role: f":'{role}_password'" for role in roles}
    return (
        "-- Generated by `python -m seda_testkit.provision --sql`.\n"
        f"\\set ON_ERROR_STOP on\n{reads}\n"
        f"SELECT 'CREATE DATABASE {DATABASE}' "
        f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"
        f"{roles_sql(schemas, literals)}\\connect {DATABASE}\n{schemas_sql(schemas)}"
    )


def _with_login(admin_url: str, user: str, password: str, database: str) -> str:
    parts = urlsplit(admin_url)
    address = parts.netloc.rpartition("@")[2]
    login = f"{user}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{login}@{address}", path=f"/{database}").geturl()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="seda_testkit.provision", description=__doc__)
    parser.add_argument("--sql", action="store_true", required=True, help="print the psql script")
    parser.add_argument("--services", type=Path, default=Path("infra/services.toml"))
    options = parser.parse_args(arguments)
    listed = tomllib.loads(options.services.read_text())["service"]
    sys.stdout.write(psql_script(service["schema"] for service in listed))


if __name__ == "__main__":
    main(sys.argv[1:])
