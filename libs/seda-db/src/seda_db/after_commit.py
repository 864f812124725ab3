"""What is done once a transaction is committed, and only then."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from seda_db.driver import DriverTransaction

Transaction = AsyncSession | DriverTransaction
_KEY = object()


def after_commit(tx: Transaction, callback: Callable[[], None]) -> None:
    """Call it when the block of `tx` has committed; forget it when that rolls back."""
    tx.info.setdefault(_KEY, []).append(callback)


def committed(tx: Transaction) -> None:
    """For `Database` alone: do what was put off, in that order."""
    for callback in tx.info.pop(_KEY, ()):
        callback()
