"""Report a message; work through the queue."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from seda_contracts.realtime import ReportCategory
from seda_identity import Principal
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.log.operations import Recording
from chat_realtime.messages import store as messages_store
from chat_realtime.messages.domain import MessageNotFound
from chat_realtime.reports import store
from chat_realtime.reports.domain import (
    COMMENT_LENGTH_MAX,
    REPORTS_PER_HOUR_MAX,
    CannotReportSelf,
    ReportClosed,
    ReportNotFound,
    ReportState,
    TooManyReports,
)
from chat_realtime.rooms.domain import Rank, clean_line
from chat_realtime.rooms.operations import lock_standing, standing_of
from chat_realtime.tables import ReportRow


async def report_message(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    message_id: UUID,
    *,
    category: ReportCategory,
    comment: str,
) -> UUID:
    """The report. A second one of the same message by the same person is the first."""
    comment = clean_line(comment, what="The comment", length_max=COMMENT_LENGTH_MAX)
    now = recording.now()
    (await standing_of(tx, room_id, principal)).check_member(now)
    message = await messages_store.message_in_room(tx, room_id, message_id)
    if message is None:
        raise MessageNotFound
    reporter_id = principal.require_user()
    if message.author_id == reporter_id:
        raise CannotReportSelf
    if await store.count_lately(tx, reporter_id, now=now) >= REPORTS_PER_HOUR_MAX:
        raise TooManyReports
    report = ReportRow(
        id=uuid7(),
        room_id=room_id,
        message_id=message_id,
        author_id=message.author_id,
        reporter_id=reporter_id,
        category=category,
        comment=comment,
        words=message.text,
        reported_at=now,
    )
    return await store.add(tx, report)


async def read_reports(
    tx: AsyncSession,
    principal: Principal,
    room_id: UUID,
    *,
    state: ReportState,
    after_id: UUID | None,
    limit: int,
    now: datetime,
) -> list[ReportRow]:
    """The queue of one room, for those who moderate it."""
    standing = await standing_of(tx, room_id, principal)
    standing.check_known(now)
    standing.check_rank(Rank.MODERATOR)
    return await store.reports(tx, room_id=room_id, state=state, after_id=after_id, limit=limit)


async def resolve_report(
    tx: AsyncSession,
    recording: Recording,
    principal: Principal,
    room_id: UUID,
    report_id: UUID,
    *,
    state: Literal["dismissed", "acted"],
    action_id: UUID | None,
) -> ReportRow:
    """`action_id` names what was done about it."""
    standing = await lock_standing(tx, room_id, principal)
    standing.check_known(recording.now())
    standing.check_rank(Rank.MODERATOR)
    report = await store.report(tx, room_id, report_id)
    if report is None:
        raise ReportNotFound
    if report.state != "open":
        raise ReportClosed
    report.state = state
    report.action_id = action_id
    report.resolved_by = principal.require_user()
    report.resolved_at = recording.now()
    return report
