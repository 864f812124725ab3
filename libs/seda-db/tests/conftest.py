"""One small table on a real server."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from seda_db import Database
from seda_testkit.postgres import EmbeddedPostgres
from seda_testkit.provision import in_database


@pytest.fixture(scope="module")
async def database_url(postgres: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(postgres.admin_url)
    await admin.execute("CREATE DATABASE notes")
    await admin.close()
    url = in_database(postgres.admin_url, "notes")
    owner = await asyncpg.connect(url)
    await owner.execute("CREATE TABLE note (body text NOT NULL)")
    await owner.close()
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool_size=2)
    yield made
    await made.close()
