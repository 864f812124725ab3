"""The SQL of suspensions: what is suspended is a column of the account, or of the bot."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth_gateway.tables import AccountRow, BotRow


async def accounts_for_update(
    tx: AsyncSession, account_ids: Sequence[UUID]
) -> dict[UUID, AccountRow]:
    """Locked in id order, so two admins who suspend each other at once wait, not deadlock."""
    query = (
        select(AccountRow)
        .where(col(AccountRow.id).in_(account_ids))
        .order_by(col(AccountRow.id))
        .with_for_update()
    )
    found = await tx.scalars(query, execution_options={"populate_existing": True})
    return {row.id: row for row in found}


async def bot(tx: AsyncSession, bot_id: UUID) -> BotRow | None:
    query = select(BotRow).where(col(BotRow.id) == bot_id, col(BotRow.deleted_at).is_(None))
    # Anew when it was read before: who suspends looks for its owner first, then locks.
    return await tx.scalar(query, execution_options={"populate_existing": True})
