"""The SQL of listeners' profiles."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from user_artist.tables import ProfileRow
from user_artist.users.domain import skeleton


async def add_profile(
    tx: AsyncSession, *, user_id: UUID, handle: str, display_name: str, now: datetime
) -> bool:
    """False when the person has a profile already or the handle is taken."""
    statement = (
        insert(ProfileRow)
        .values(
            id=user_id,
            handle=handle,
            handle_skeleton=skeleton(handle),
            display_name=display_name,
            version=1,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
        .returning(col(ProfileRow.id))
    )
    return await tx.scalar(statement) is not None


async def profile(tx: AsyncSession, user_id: UUID) -> ProfileRow | None:
    return await tx.get(ProfileRow, user_id)


async def profile_for_edit(tx: AsyncSession, user_id: UUID) -> ProfileRow | None:
    """Locked: two edits of one profile get two versions."""
    query = select(ProfileRow).where(col(ProfileRow.id) == user_id).with_for_update()
    return await tx.scalar(query)
