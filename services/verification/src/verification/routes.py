"""HTTP of verification: a person's own requests, and the review queue of admins."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta
from seda_db import Database
from seda_identity import Policy, Principal, Role

from verification import operations
from verification.domain import (
    PAGE_DEFAULT,
    PAGE_MAX,
    REASON_CHARACTERS_MAX,
    REASON_CHARACTERS_MIN,
    Status,
    status_at,
)
from verification.moves import Claims
from verification.tables import CheckRow, ClaimRow
from verification.targets import TARGET_CHARACTERS_MAX

PageLimit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAX)]
Cursor = FromQuery[str | None]


class NewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    artist_id: UUID
    target_url: Annotated[str, Meta(min_length=1, max_length=TARGET_CHARACTERS_MAX)]


class VerificationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its owner sees it. The code is not in it: it was shown once."""

    id: UUID
    artist_id: UUID
    target_url: str
    status: Status
    reason_code: str | None
    """Why the status is what it is: of the last check, or of the decision."""
    issued_at: datetime
    expires_at: datetime
    changed_at: datetime


class IssuedRequest(VerificationRequest, frozen=True, kw_only=True):
    code: str
    """To be put on the target page. Not shown again."""


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[VerificationRequest]
    next_cursor: str | None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the last check saw."""

    checked_at: datetime | None
    reason_code: str | None
    place: str | None
    final_url: str | None
    status_code: int | None
    content_sha256: str | None


class ReviewedRequest(VerificationRequest, frozen=True, kw_only=True):
    """A request as an admin sees it."""

    user_id: UUID
    target_listed: bool
    """The artist had listed this page when the code was drawn."""
    decided_by: UUID | None
    decision_reason: str | None
    evidence: Evidence | None


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ReviewedRequest]
    next_cursor: str | None


class DecisionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    decision: Literal["approve", "reject"]
    reason: Annotated[str, Meta(min_length=REASON_CHARACTERS_MIN, max_length=REASON_CHARACTERS_MAX)]


class VerificationRoutes(Controller):
    path = "/api/v1/verification/requests"
    tags = ("verification",)

    @post(
        "/",
        operation_id="SubmitVerification",
        policy=Policy("verification:submit", limit="verification"),
    )
    async def submit(
        self,
        data: JSONBody[NewRequest],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
    ) -> IssuedRequest:
        async with db.begin() as tx:
            claim, code = await operations.submit_claim(
                tx,
                claims,
                user_id=principal.require_user(),
                artist_id=data.artist_id,
                target_url=data.target_url,
            )
        return IssuedRequest(**_shown(claim, claims.now()), code=code)

    @get("/", operation_id="ListVerifications", policy=Policy("verification:read_own"))
    async def list_own(
        self,
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
        limit: PageLimit = PAGE_DEFAULT,
        cursor: Cursor = None,
    ) -> RequestPage:
        async with db.read() as tx:
            page = await operations.own_claims(
                tx, user_id=principal.require_user(), cursor=cursor, limit=limit
            )
        now = claims.now()
        return RequestPage(
            items=[_own(claim, now) for claim in page.claims], next_cursor=page.next_cursor
        )

    @get(
        "/{request_id:uuid}",
        operation_id="GetVerification",
        policy=Policy("verification:read_own"),
    )
    async def get_own(
        self,
        request_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
    ) -> VerificationRequest:
        async with db.read() as tx:
            claim = await operations.own_claim(
                tx, user_id=principal.require_user(), claim_id=request_id
            )
        return _own(claim, claims.now())

    @post(
        "/{request_id:uuid}/check",
        operation_id="CheckVerification",
        policy=Policy("verification:check", limit="verification"),
        status_code=202,
    )
    async def check(
        self,
        request_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
    ) -> VerificationRequest:
        """Have the page looked at. The answer comes later, in the request's status."""
        async with db.begin() as tx:
            claim = await operations.start_check(
                tx, claims, user_id=principal.require_user(), claim_id=request_id
            )
        return _own(claim, claims.now())

    @delete(
        "/{request_id:uuid}",
        operation_id="CancelVerification",
        policy=Policy("verification:cancel"),
    )
    async def cancel(
        self,
        request_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
    ) -> None:
        async with db.begin() as tx:
            await operations.cancel_claim(
                tx, claims, user_id=principal.require_user(), claim_id=request_id
            )


class ReviewRoutes(Controller):
    path = "/api/v1/admin/verification/requests"
    tags = ("admin",)

    @get(
        "/",
        operation_id="ListVerificationQueue",
        policy=Policy("verification:review", role=Role.ADMIN),
    )
    async def list_queue(
        self,
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
        status: FromQuery[Status] = "found",
        limit: PageLimit = PAGE_DEFAULT,
        cursor: Cursor = None,
    ) -> ReviewPage:
        """Requests in one state, the one that has waited longest first."""
        async with db.read() as tx:
            page = await operations.claims_to_review(tx, status=status, cursor=cursor, limit=limit)
        now = claims.now()
        return ReviewPage(
            items=[_reviewed(claim, page.checks.get(claim.id), now) for claim in page.claims],
            next_cursor=page.next_cursor,
        )

    @post(
        "/{request_id:uuid}/decision",
        operation_id="DecideVerification",
        policy=Policy("verification:review", role=Role.ADMIN),
        status_code=200,
    )
    async def decide(
        self,
        request_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        claims: NamedDependency[Claims],
    ) -> ReviewedRequest:
        async with db.begin() as tx:
            claim = await operations.decide_claim(
                tx,
                claims,
                reviewer_id=principal.require_user(),
                claim_id=request_id,
                decision=data.decision,
                reason=data.reason,
            )
            checks = await operations.evidence(tx, [claim.id])
        return _reviewed(claim, checks.get(claim.id), claims.now())


def _own(claim: ClaimRow, now: datetime) -> VerificationRequest:
    return VerificationRequest(**_shown(claim, now))


def _reviewed(claim: ClaimRow, check: CheckRow | None, now: datetime) -> ReviewedRequest:
    evidence = None
    if check is not None:
        evidence = Evidence(
            checked_at=check.finished_at,
            reason_code=check.reason_code,
            place=check.place,
            final_url=check.final_url,
            status_code=check.status_code,
            content_sha256=check.content_sha256,
        )
    return ReviewedRequest(
        **_shown(claim, now),
        user_id=claim.user_id,
        target_listed=claim.target_listed,
        decided_by=claim.decided_by,
        decision_reason=claim.decision_reason,
        evidence=evidence,
    )


def _shown(claim: ClaimRow, now: datetime) -> dict[str, Any]:
    """What owner and admin both see."""
    status = cast("Status", claim.status)
    return {
        "id": claim.id,
        "artist_id": claim.artist_id,
        "target_url": claim.target_url,
        "status": status_at(status, claim.expires_at, now),
        "reason_code": claim.reason_code,
        "issued_at": claim.issued_at,
        "expires_at": claim.expires_at,
        "changed_at": claim.changed_at,
    }
