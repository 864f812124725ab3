"""The SQL of reports."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select, update

from chat_realtime.reports.domain import WORDS_KEPT, ReportState
from chat_realtime.tables import ReportRow


async def add(tx: AsyncSession, report: ReportRow) -> UUID:
    """Its id, or that of the same person's earlier report of the message."""
    statement = insert(ReportRow).values(report.model_dump()).on_conflict_do_nothing()
    added: UUID | None = await tx.scalar(statement.returning(col(ReportRow.id)))
    if added is not None:
        return added
    query = select(ReportRow.id).where(
        col(ReportRow.message_id) == report.message_id,
        col(ReportRow.reporter_id) == report.reporter_id,
    )
    return (await tx.scalars(query)).one()


async def count_lately(tx: AsyncSession, reporter_id: UUID, *, now: datetime) -> int:
    query = select(func.count()).where(
        col(ReportRow.reporter_id) == reporter_id,
        col(ReportRow.reported_at) > now - timedelta(hours=1),
    )
    return int(await tx.scalar(query) or 0)


async def report(tx: AsyncSession, room_id: UUID, report_id: UUID) -> ReportRow | None:
    query = select(ReportRow).where(
        col(ReportRow.id) == report_id, col(ReportRow.room_id) == room_id
    )
    return await tx.scalar(query.with_for_update())


async def reports(
    tx: AsyncSession,
    *,
    room_id: UUID | None,
    state: ReportState,
    after_id: UUID | None,
    limit: int,
) -> list[ReportRow]:
    """Oldest first, of one room or of all."""
    query = select(ReportRow).where(col(ReportRow.state) == state)
    if room_id is not None:
        query = query.where(col(ReportRow.room_id) == room_id)
    if after_id is not None:
        query = query.where(col(ReportRow.id) > after_id)
    return list(await tx.scalars(query.order_by(col(ReportRow.id)).limit(limit)))


async def forget_words(tx: AsyncSession, *, now: datetime) -> None:
    """What messages said, once it was kept for long enough."""
    await tx.execute(
        update(ReportRow)
        .where(col(ReportRow.reported_at) < now - WORDS_KEPT, col(ReportRow.words) != "")
        .values(words="")
    )
