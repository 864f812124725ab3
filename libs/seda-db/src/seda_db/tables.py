"""The base of a service's tables: one metadata per schema, and stable constraint names."""

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def table_base(schema: str) -> type[SQLModel]:
    """A base class whose tables live in `schema`.

    Each service has its own metadata: two services in one test process must not share
    `SQLModel.metadata`, and a bare `metadata = MetaData(schema=...)` in a class body would silently
    not apply the schema.
    """
    metadata = MetaData(schema=schema, naming_convention=NAMING)

    class Table(SQLModel, registry=registry(metadata=metadata)):
        pass

    return Table
