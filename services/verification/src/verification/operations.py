"""What can happen to a claim: asked for by its owner (issue, check, cancel), found by the crawler,
decided by an admin, or ended by time, which `sweep.py` writes down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from seda_contracts.events.crawl import CrawlFetch, host_key
from seda_contracts.events.verification import (
    VerificationCheckFailed,
    VerificationCheckPassed,
    VerificationSubmitted,
)
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from verification import moves, store
from verification.domain import (
    CHECK_WAIT_MAX,
    DECIDABLE,
    LIVE,
    WINDOW,
    ArtistAlreadyVerified,
    ArtistNotFound,
    CheckLimitReached,
    ClaimExpired,
    ClaimLimitReached,
    ClaimNotFound,
    ClaimNotOpen,
    Limits,
    PageReport,
    SelfDecision,
    Status,
    TooManyOpenClaims,
    Verdict,
    checked_reason,
    code_digest,
    draw_code,
    is_overdue,
    judge,
    page_position,
    wait_for_place,
)
from verification.moves import CRAWLER, Actor, Claims
from verification.tables import CheckRow, ClaimRow
from verification.targets import is_listed, normal_target

CODE_DRAWS_MAX = 5
"""A clash among live codes is one in a billion; five in a row are a broken generator."""

Decision = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPage:
    claims: Sequence[ClaimRow]
    next_cursor: str | None
    checks: Mapping[UUID, CheckRow] = field(default_factory=dict)
    """The last finished check of each claim, where the list is for review."""


async def remember_artist(
    tx: AsyncSession, *, artist_id: UUID, user_id: UUID, links: list[str], version: int
) -> None:
    """Keep what user-artist says of an artist; an older version changes nothing."""
    await store.put_artist(tx, artist_id=artist_id, user_id=user_id, links=links, version=version)


async def submit_claim(
    tx: AsyncSession, claims: Claims, *, user_id: UUID, artist_id: UUID, target_url: str
) -> tuple[ClaimRow, str]:
    """The new claim and its code, which is shown this once.

    Raises TargetRefused, ArtistNotFound, ArtistAlreadyVerified, ClaimLimitReached and
    TooManyOpenClaims.
    """
    target = normal_target(target_url)
    artist = await store.artist(tx, artist_id)
    if artist is None or artist.user_id != user_id:
        raise ArtistNotFound
    await store.lock_claimant(tx, user_id)
    now = claims.now()
    await _check_claim_limits(tx, claims.limits, user_id=user_id, now=now)
    if await store.approved_claim(tx, artist_id) is not None:
        raise ArtistAlreadyVerified
    values = {
        "artist_id": artist_id,
        "user_id": user_id,
        "target_url": target.url,
        "target_listed": is_listed(target, artist.links),
        "status": "issued",
        "issued_at": now,
        "expires_at": now + claims.limits.code_lifetime,
        "changed_at": now,
    }
    claim, code = await _add_with_fresh_code(tx, claims, values)
    moves.remember(tx, claim, None, Actor(kind="user", id=user_id), reason_code="issued")
    submitted = VerificationSubmitted(
        request_id=claim.id, artist_id=artist_id, user_id=user_id, expires_at=claim.expires_at
    )
    await claims.outbox.add(tx, submitted)
    return claim, code


async def _check_claim_limits(
    tx: AsyncSession, limits: Limits, *, user_id: UUID, now: datetime
) -> None:
    issued = await store.issued_since(tx, user_id, now - WINDOW)
    wait = wait_for_place(issued, places=limits.claims_per_day_max, now=now)
    if wait is not None:
        raise ClaimLimitReached(wait)
    if await store.open_claims(tx, user_id, now) >= limits.open_claims_max:
        raise TooManyOpenClaims


async def _add_with_fresh_code(
    tx: AsyncSession, claims: Claims, values: dict[str, Any]
) -> tuple[ClaimRow, str]:
    for _ in range(CODE_DRAWS_MAX):
        code = draw_code(claims.limits.code_symbols, claims.choose)
        claim = await store.add_claim(
            tx, {**values, "id": uuid7(), "code_sha256": code_digest(code)}
        )
        if claim is not None:
            return claim, code
    raise RuntimeError("five codes in a row were taken")


async def start_check(
    tx: AsyncSession, claims: Claims, *, user_id: UUID, claim_id: UUID
) -> ClaimRow:
    """Ask the crawler to look.

    Raises ClaimNotFound, ClaimExpired, ClaimNotOpen and CheckLimitReached.
    """
    claim = await _own_claim_for_change(tx, user_id, claim_id)
    now = claims.now()
    if is_overdue(cast("Status", claim.status), claim.expires_at, now):
        raise ClaimExpired
    if claim.status != "issued":
        raise ClaimNotOpen
    await _check_check_limits(tx, claims.limits, claim.id, now)
    job_id = uuid7()
    store.add_check(tx, CheckRow(job_id=job_id, claim_id=claim.id, started_at=now))
    actor = Actor(kind="user", id=user_id)
    moved = await moves.move(
        tx, claims, claim, "checking", actor, reason_code="check_started", job_id=job_id
    )
    target = normal_target(claim.target_url)
    fetch = CrawlFetch(
        job_id=job_id,
        host_key=host_key(target.host),
        url=target.url,
        requested_by="verification",
        bypass_cache=True,
        find_claim_codes=True,
    )
    await claims.outbox.add(tx, fetch)
    return moved


async def _check_check_limits(
    tx: AsyncSession, limits: Limits, claim_id: UUID, now: datetime
) -> None:
    checks = await store.checks_since(tx, claim_id, now - WINDOW)
    attempts = [check.started_at for check in checks if check.conclusive is not False]
    starts = [check.started_at for check in checks]
    for times, places in (
        (attempts, limits.checks_per_day_max),
        (starts, limits.check_starts_per_day_max),
    ):
        wait = wait_for_place(times, places=places, now=now)
        if wait is not None:
            raise CheckLimitReached(wait)


async def cancel_claim(
    tx: AsyncSession, claims: Claims, *, user_id: UUID, claim_id: UUID
) -> ClaimRow:
    """Give up a live claim; its code means nothing any more. Raises ClaimNotFound, ClaimNotOpen."""
    claim = await _own_claim_for_change(tx, user_id, claim_id)
    if claim.status not in LIVE:
        raise ClaimNotOpen
    actor = Actor(kind="user", id=user_id)
    return await moves.move(tx, claims, claim, "cancelled", actor, reason_code="cancelled")


async def _own_claim_for_change(tx: AsyncSession, user_id: UUID, claim_id: UUID) -> ClaimRow:
    """A stranger's claim is as absent as one that never was."""
    claim = await store.claim_for_change(tx, claim_id)
    if claim is None or claim.user_id != user_id:
        raise ClaimNotFound
    return claim


async def own_claim(tx: AsyncSession, *, user_id: UUID, claim_id: UUID) -> ClaimRow:
    """Raises ClaimNotFound."""
    claim = await store.claim(tx, claim_id)
    if claim is None or claim.user_id != user_id:
        raise ClaimNotFound
    return claim


async def own_claims(
    tx: AsyncSession, *, user_id: UUID, cursor: str | None, limit: int
) -> ClaimPage:
    """Newest first. Raises CursorRefused."""
    found = await store.claims_of_user(tx, user_id, before=page_position(cursor), limit=limit + 1)
    return _page(found, limit)


async def claims_to_review(
    tx: AsyncSession, *, status: Status, cursor: str | None, limit: int
) -> ClaimPage:
    """Longest waiting first, each with what its last check saw. Raises CursorRefused."""
    found = await store.claims_with_status(tx, status, after=page_position(cursor), limit=limit + 1)
    page = _page(found, limit)
    return replace(page, checks=await evidence(tx, [claim.id for claim in page.claims]))


async def evidence(tx: AsyncSession, claim_ids: Sequence[UUID]) -> Mapping[UUID, CheckRow]:
    return await store.last_checks(tx, claim_ids)


def _page(found: Sequence[ClaimRow], limit: int) -> ClaimPage:
    """`found` was asked for one more than `limit`, to know whether there is more."""
    shown = found[:limit]
    return ClaimPage(claims=shown, next_cursor=str(shown[-1].id) if len(found) > limit else None)


async def record_page(
    tx: AsyncSession,
    claims: Claims,
    *,
    job_id: UUID,
    report: PageReport,
    content_sha256: str | None,
) -> None:
    """Take the crawler's answer to one check. An answer to anybody else's job is left alone."""
    found = await store.check_of_job(tx, job_id)
    if found is None or found[1].finished_at is not None:
        return
    claim, check = found
    target = normal_target(claim.target_url)
    verdict = judge(report, target=target, digest=claim.code_sha256)
    check.place = verdict.place
    check.final_url = report.final_url[:2_000]
    check.status_code = report.status_code
    check.content_sha256 = content_sha256
    await _conclude(tx, claims, claim, check, verdict)


async def record_failure(tx: AsyncSession, claims: Claims, *, job_id: UUID, blocked: bool) -> None:
    """The crawler gave up without seeing the page: nothing is known, no attempt is used."""
    found = await store.check_of_job(tx, job_id)
    if found is None or found[1].finished_at is not None:
        return
    claim, check = found
    reason: Literal["blocked", "unreachable"] = "blocked" if blocked else "unreachable"
    await _conclude(tx, claims, claim, check, Verdict(reason=reason, conclusive=False))


async def _conclude(
    tx: AsyncSession, claims: Claims, claim: ClaimRow, check: CheckRow, verdict: Verdict
) -> None:
    """Close the check, and move the claim if it still waits for this very check."""
    now = claims.now()
    check.finished_at = now
    check.conclusive = verdict.conclusive
    check.reason_code = verdict.reason
    if claim.status != "checking" or claim.job_id != check.job_id:
        return
    if is_overdue("checking", claim.expires_at, now):
        await moves.expire(tx, claims, claim)
        return
    to: Status = "found" if verdict.found else "issued"
    claim = await moves.move(
        tx,
        claims,
        claim,
        to,
        CRAWLER,
        reason_code=verdict.reason,
        evidence_sha256=check.content_sha256,
        job_id=None,
    )
    if not verdict.found:
        failed = VerificationCheckFailed(
            request_id=claim.id,
            artist_id=claim.artist_id,
            reason_code=verdict.reason,
            conclusive=verdict.conclusive,
            checked_at=now,
        )
        await claims.outbox.add(tx, failed)
        return
    automatic = await _is_decisive(tx, claims.limits, claim)
    passed = VerificationCheckPassed(
        request_id=claim.id, artist_id=claim.artist_id, automatic=automatic, checked_at=now
    )
    await claims.outbox.add(tx, passed)
    if automatic:
        await moves.approve(tx, claims, claim, CRAWLER, reason_code="found")


async def _is_decisive(tx: AsyncSession, limits: Limits, claim: ClaimRow) -> bool:
    """True when the proof needs no person: see the README for what this trusts.

    A page that has already proved another artist is two people's word, so a third decides.
    """
    if not limits.automatic_approval or not claim.target_listed:
        return False
    return not await store.proves_another(tx, claim.target_url, claim.artist_id)


async def decide_claim(
    tx: AsyncSession,
    claims: Claims,
    *,
    reviewer_id: UUID,
    claim_id: UUID,
    decision: Decision,
    reason: str,
) -> ClaimRow:
    """An admin's word. Raises ReasonRefused, ClaimNotFound, SelfDecision, ClaimExpired and
    ClaimNotOpen.
    """
    reason = checked_reason(reason)
    claim = await store.claim_for_change(tx, claim_id)
    if claim is None:
        raise ClaimNotFound
    if claim.user_id == reviewer_id:
        raise SelfDecision
    if is_overdue(cast("Status", claim.status), claim.expires_at, claims.now()):
        raise ClaimExpired
    if claim.status not in DECIDABLE:
        raise ClaimNotOpen
    reviewer = Actor(kind="admin", id=reviewer_id)
    if decision == "approve":
        return await moves.approve(
            tx, claims, claim, reviewer, reason_code="reviewed", reason=reason
        )
    return await moves.reject(
        tx, claims, claim, "denied", reviewer, reason_code="reviewed", reason=reason
    )


async def expire_overdue(tx: AsyncSession, claims: Claims, *, limit: int) -> int:
    """Write down what the clock has decided; the number of claims it concerned."""
    overdue = await store.overdue_claims(tx, claims.now(), limit)
    for claim in overdue:
        await moves.expire(tx, claims, claim)
    return len(overdue)


async def give_up_unanswered(tx: AsyncSession, claims: Claims, *, limit: int) -> int:
    """Free the claims whose check brought no answer; the attempt is given back."""
    unanswered = await store.unanswered_checks(tx, claims.now() - CHECK_WAIT_MAX, limit)
    for claim, check in unanswered:
        await _conclude(tx, claims, claim, check, Verdict(reason="unreachable", conclusive=False))
    return len(unanswered)
