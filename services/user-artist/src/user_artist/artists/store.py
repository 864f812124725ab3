"""The SQL of artist profiles and of the search over them."""

from uuid import UUID

from sqlalchemy import tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from user_artist.artists.domain import SearchPosition, contains_pattern
from user_artist.tables import ArtistRow


async def artist(tx: AsyncSession, artist_id: UUID) -> ArtistRow | None:
    return await tx.get(ArtistRow, artist_id)


async def artist_of_user(tx: AsyncSession, user_id: UUID) -> ArtistRow | None:
    return await tx.scalar(select(ArtistRow).where(col(ArtistRow.user_id) == user_id))


async def artist_for_edit(tx: AsyncSession, artist_id: UUID) -> ArtistRow | None:
    """Locked: an edit and a badge that arrive together get two versions."""
    query = select(ArtistRow).where(col(ArtistRow.id) == artist_id).with_for_update()
    return await tx.scalar(query)


async def search(
    tx: AsyncSession,
    *,
    name_key: str,
    verified_only: bool,
    after: SearchPosition | None,
    limit: int,
) -> list[ArtistRow]:
    """Artists whose name contains `name_key`, in name order, past a position."""
    query = select(ArtistRow).order_by(col(ArtistRow.name_key), col(ArtistRow.id)).limit(limit)
    if name_key:
        query = query.where(col(ArtistRow.name_key).like(contains_pattern(name_key), escape="\\"))
    if verified_only:
        query = query.where(col(ArtistRow.verified))
    if after is not None:
        position = tuple_(col(ArtistRow.name_key), col(ArtistRow.id))
        query = query.where(position > (after.name_key, after.artist_id))
    return list(await tx.scalars(query))
