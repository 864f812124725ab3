"""The SQL of the crawler: one function, one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from crawler.tables import HostRobotsRow, HostTurnRow, JobRow, PageRow


async def page_by_url(tx: AsyncSession, url: str) -> PageRow | None:
    return await tx.scalar(select(PageRow).where(col(PageRow.url) == url))


async def put_page(tx: AsyncSession, page: PageRow) -> None:
    """Keep the page; of two answers the later one stays."""
    values = page.model_dump()
    statement = insert(PageRow).values(values)
    newer = col(PageRow.fetched_at) <= statement.excluded.fetched_at
    await tx.execute(
        statement.on_conflict_do_update(index_elements=["url"], set_=values, where=newer)
    )


async def delete_page(tx: AsyncSession, url: str) -> bool:
    found = await tx.execute(
        delete(PageRow).where(col(PageRow.url) == url).returning(col(PageRow.url))
    )
    return found.first() is not None


async def pages_after(tx: AsyncSession, url: str, *, limit: int) -> Sequence[PageRow]:
    query = select(PageRow).where(col(PageRow.url) > url).order_by(col(PageRow.url)).limit(limit)
    return (await tx.scalars(query)).all()


async def robots_of(tx: AsyncSession, origin: str) -> HostRobotsRow | None:
    return await tx.scalar(select(HostRobotsRow).where(col(HostRobotsRow.origin) == origin))


async def put_robots(tx: AsyncSession, row: HostRobotsRow) -> None:
    values = row.model_dump()
    statement = insert(HostRobotsRow).values(values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["origin"], set_=values))


async def take_turn(tx: AsyncSession, host: str, *, now: datetime, interval: timedelta) -> datetime:
    """Reserve the next moment this host may be asked. Every process draws from the same row, so
    the interval holds for the service and not for each pod."""
    statement = insert(HostTurnRow).values(host=host, next_request_at=now + interval)
    turn = func.greatest(col(HostTurnRow.next_request_at), now)
    taken = await tx.scalar(
        statement.on_conflict_do_update(
            index_elements=["host"], set_={"next_request_at": turn + interval}
        ).returning(col(HostTurnRow.next_request_at))
    )
    assert isinstance(taken, datetime)
    return taken - interval


async def job_by_id(tx: AsyncSession, job_id: UUID) -> JobRow | None:
    return await tx.scalar(select(JobRow).where(col(JobRow.id) == job_id))


async def add_job(tx: AsyncSession, job: JobRow) -> None:
    """An unfinished job as it was asked for; one that is known already stays as it is."""
    await tx.execute(insert(JobRow).values(job.model_dump()).on_conflict_do_nothing())


async def finish_job(tx: AsyncSession, job: JobRow) -> bool:
    """Write the final record. False when the job was finished before: then nothing changed."""
    values = job.model_dump()
    kept = {"id", "requested_at"}
    changed: dict[str, Any] = {key: value for key, value in values.items() if key not in kept}
    statement = (
        insert(JobRow)
        .values(values)
        .on_conflict_do_update(
            index_elements=["id"], set_=changed, where=col(JobRow.outcome).is_(None)
        )
        .returning(col(JobRow.id))
    )
    return (await tx.execute(statement)).first() is not None


async def jobs_before(
    tx: AsyncSession, position: tuple[datetime, UUID] | None, *, limit: int
) -> Sequence[JobRow]:
    """Newest first; `position` is where the page before ended."""
    query = select(JobRow)
    if position is not None:
        moment, job_id = position
        earlier = col(JobRow.requested_at) < moment
        same = (col(JobRow.requested_at) == moment) & (col(JobRow.id) < job_id)
        query = query.where(or_(earlier, same))
    ordered = query.order_by(col(JobRow.requested_at).desc(), col(JobRow.id).desc())
    return (await tx.scalars(ordered.limit(limit))).all()
