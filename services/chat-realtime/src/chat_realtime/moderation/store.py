"""The SQL of the moderation log. Rows are added and read; the database refuses anything else."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from chat_realtime.tables import GlobalMuteRow, ModerationActionRow


def add_action(tx: AsyncSession, action: ModerationActionRow) -> None:
    tx.add(action)


async def put_global_mute(tx: AsyncSession, user_id: UUID, *, until: datetime | None) -> None:
    """Of two administrators at once the later one counts."""
    if until is None:
        await tx.execute(delete(GlobalMuteRow).where(col(GlobalMuteRow.user_id) == user_id))
        return
    statement = insert(GlobalMuteRow).values(user_id=user_id, muted_until=until)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id"], set_={"muted_until": statement.excluded.muted_until}
        )
    )


async def actions(
    tx: AsyncSession, *, room_id: UUID | None, before_id: UUID | None, limit: int
) -> list[ModerationActionRow]:
    """Newest first, of one room or of all."""
    query = select(ModerationActionRow).order_by(col(ModerationActionRow.id).desc()).limit(limit)
    if room_id is not None:
        query = query.where(col(ModerationActionRow.room_id) == room_id)
    if before_id is not None:
        query = query.where(col(ModerationActionRow.id) < before_id)
    return list(await tx.scalars(query))
