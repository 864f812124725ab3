"""HTTP of reports."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from seda_contracts.realtime import ReportCategory
from seda_db import Database
from seda_identity import Policy, Principal, Role

from chat_realtime.log.operations import Recording
from chat_realtime.reports import operations
from chat_realtime.reports.domain import COMMENT_LENGTH_MAX, ReportState
from chat_realtime.reports.store import reports
from chat_realtime.tables import ReportRow

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
# `state` is a word that Litestar keeps for itself.
Wanted = Annotated[ReportState, QueryParameter(name="state")]


class NewReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    category: ReportCategory
    comment: Annotated[str, Meta(max_length=COMMENT_LENGTH_MAX)] = ""


class Resolution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`action_id` is the moderation action that was taken."""

    state: Literal["dismissed", "acted"]
    action_id: UUID | None = None


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`words` is what the message said when it was reported; empty after 30 days."""

    id: UUID
    room_id: UUID
    message_id: UUID
    author_id: UUID
    reporter_id: UUID
    category: ReportCategory
    comment: str
    words: str
    state: ReportState
    reported_at: datetime
    resolved_by: UUID | None
    resolved_at: datetime | None
    action_id: UUID | None


class ReportList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Report]
    next_cursor: str | None


class ReportRoutes(Controller):
    path = "/api/v1"

    @post(
        "/chat/rooms/{room_id:uuid}/messages/{message_id:uuid}/report",
        operation_id="ReportMessage",
        policy=Policy("message:write", limit="messages"),
    )
    async def report_message(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[NewReport],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Reported:
        async with db.begin() as tx:
            report_id = await operations.report_message(
                tx,
                recording,
                principal,
                room_id,
                message_id,
                category=data.category,
                comment=data.comment,
            )
        return Reported(id=report_id)

    @get(
        "/chat/rooms/{room_id:uuid}/reports",
        operation_id="ListReports",
        policy=Policy("moderation:read"),
    )
    async def list_reports(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        wanted: Wanted = "open",
        limit: Limit = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> ReportList:
        async with db.read() as tx:
            rows = await operations.read_reports(
                tx,
                principal,
                room_id,
                state=wanted,
                after_id=cursor,
                limit=limit,
                now=recording.now(),
            )
        return _list(rows, limit)

    @post(
        "/chat/rooms/{room_id:uuid}/reports/{report_id:uuid}/resolve",
        operation_id="ResolveReport",
        policy=Policy("moderation:write"),
        status_code=200,
    )
    async def resolve_report(
        self,
        room_id: FromPath[UUID],
        report_id: FromPath[UUID],
        data: JSONBody[Resolution],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Report:
        async with db.begin() as tx:
            row = await operations.resolve_report(
                tx,
                recording,
                principal,
                room_id,
                report_id,
                state=data.state,
                action_id=data.action_id,
            )
            return _report(row)

    @get(
        "/admin/moderation/reports",
        operation_id="ListAllReports",
        policy=Policy("moderation:read_all", role=Role.ADMIN),
    )
    async def list_all_reports(
        self,
        db: NamedDependency[Database],
        wanted: Wanted = "open",
        limit: Limit = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> ReportList:
        async with db.read() as tx:
            rows = await reports(tx, room_id=None, state=wanted, after_id=cursor, limit=limit)
        return _list(rows, limit)


def _list(rows: list[ReportRow], limit: int) -> ReportList:
    return ReportList(
        items=[_report(row) for row in rows],
        next_cursor=str(rows[-1].id) if len(rows) == limit else None,
    )


def _report(row: ReportRow) -> Report:
    return msgspec.convert(row.model_dump(), Report)
