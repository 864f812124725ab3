"""Writes down, once a minute, what the clock has decided about claims.

Nothing waits for it: expiry is checked at every use. It makes the expiry visible to others, and
frees claims whose check was never answered. Several processes may sweep at once; each takes rows
the others have not locked.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seda_db import Database, DatabaseUnavailable
from seda_messaging.cancellation import still_wanted
from seda_runtime.logging import get_logger

from verification import operations
from verification.moves import Claims

SWEEP_SECONDS = 60.0
SWEEP_CLAIMS_MAX = 100
"""Per transaction."""
SWEEP_ROUNDS_MAX = 20
"""Per minute; what is left waits for the next."""

log = get_logger(__name__)


@asynccontextmanager
async def sweeping(db: Database, claims: Claims) -> AsyncIterator[None]:
    """Sweep beside the block."""
    task = asyncio.create_task(_every_minute(db, claims))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def sweep(db: Database, claims: Claims) -> int:
    """One pass; the number of claims it moved."""
    moved = 0
    for _ in range(SWEEP_ROUNDS_MAX):
        async with db.begin() as tx:
            expired = await operations.expire_overdue(tx, claims, limit=SWEEP_CLAIMS_MAX)
            freed = await operations.give_up_unanswered(tx, claims, limit=SWEEP_CLAIMS_MAX)
        moved += expired + freed
        if max(expired, freed) < SWEEP_CLAIMS_MAX:
            break
    return moved


async def _every_minute(db: Database, claims: Claims) -> None:
    while still_wanted():
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            moved = await sweep(db, claims)
        except DatabaseUnavailable:
            log.warning("sweep.failed")
            continue
        if moved:
            log.info("sweep.done", claims=moved)
