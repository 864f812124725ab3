"""The SQL of tracks and links."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from track_unfurl.tables import Link, TrackRef


async def track_by_id(tx: AsyncSession, track_id: UUID) -> TrackRef | None:
    return await tx.get(TrackRef, track_id)


async def track_of_entry(tx: AsyncSession, provider: str, provider_id: str) -> TrackRef | None:
    query = select(TrackRef).where(
        col(TrackRef.provider) == provider, col(TrackRef.provider_id) == provider_id
    )
    return (await tx.execute(query)).scalar_one_or_none()


async def add_track(tx: AsyncSession, track: dict[str, Any]) -> None:
    """Nothing happens when the entry is known already, under this or another spelling."""
    await tx.execute(insert(TrackRef).values(**track).on_conflict_do_nothing())


async def lock_track(tx: AsyncSession, track_id: UUID) -> TrackRef:
    """Exclusively, so that two outcomes cannot both count as the next card version."""
    query = select(TrackRef).where(col(TrackRef.id) == track_id).with_for_update()
    return (await tx.execute(query)).scalar_one()


async def lease_track(tx: AsyncSession, track_id: UUID, *, now: datetime, until: datetime) -> bool:
    """Whether this process may fetch. A process that died loses its lease by time.

    Refused also when the track has become fresh since it was read: a fetch that landed in between
    must not be followed by another.
    """
    free = or_(col(TrackRef.leased_until).is_(None), col(TrackRef.leased_until) <= now)
    due = or_(col(TrackRef.status) == "pending", col(TrackRef.expires_at) <= now)
    statement = (
        update(TrackRef)
        .where(col(TrackRef.id) == track_id, free, due)
        .values(leased_until=until)
        .returning(col(TrackRef.id))
    )
    return (await tx.execute(statement)).first() is not None


async def link_by_id(tx: AsyncSession, link_id: UUID) -> Link | None:
    return await tx.get(Link, link_id)


async def put_link(tx: AsyncSession, link: dict[str, Any]) -> None:
    """A link may come to mean another track: a short link was re-pointed."""
    statement = insert(Link).values(**link)
    changed = {name: statement.excluded[name] for name in ("track_id", "expires_at")}
    await tx.execute(statement.on_conflict_do_update(index_elements=["link_id"], set_=changed))


async def links_of_track(tx: AsyncSession, track_id: UUID, *, count_max: int) -> list[Link]:
    """The newest spellings under which the track has been asked for."""
    query = (
        select(Link)
        .where(col(Link.track_id) == track_id)
        .order_by(col(Link.created_at).desc())
        .limit(count_max)
    )
    return list((await tx.execute(query)).scalars())


async def tracks_by_ids(tx: AsyncSession, track_ids: Sequence[UUID]) -> dict[UUID, TrackRef]:
    query = select(TrackRef).where(col(TrackRef.id).in_(track_ids))
    return {track.id: track for track in (await tx.execute(query)).scalars()}
