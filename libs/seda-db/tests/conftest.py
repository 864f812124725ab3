"""One small table on a real server."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from seda_db import Database
from seda_testkit.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedPostgres) -> str:
    async def create() -> None:
        admin = await asyncpg.connect(postgres.admin_url)
        await admin.execute("CREATE DATABASE notes")
        await admin.close()
        owner = await asyncpg.connect(url)
        await owner.execute("CREATE TABLE note (body text NOT NULL)")
        await owner.close()

    url = postgres.admin_url.rpartition("/")[0] + "/notes"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, create()).result()
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool_size=2)
    async with made.begin() as tx:
        await tx.connection(execution_options={})
    yield made
    await made.close()
