"""The only ways a claim changes its state.

Each is a compare-and-set beside a row of history, and those that others must know of put their
event into the same transaction. Who may ask for a change, and when, is decided in `operations.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from seda_contracts.events.verification import (
    VerificationApproved,
    VerificationExpired,
    VerificationRejected,
)
from seda_messaging import Outbox
from seda_runtime.telemetry import counter
from sqlalchemy.ext.asyncio import AsyncSession

from verification import store
from verification.domain import MOVES, ClaimNotOpen, Limits, Status
from verification.tables import ClaimRow, TransitionRow

_moved = counter("seda_verification_moves", "Changes of claims by state reached and reason.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What moving a claim needs from outside."""

    outbox: Outbox
    now: Callable[[], datetime]
    limits: Limits
    choose: Callable[[str], str]
    """Picks one symbol of a code: `secrets.choice`, except in tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who moves a claim."""

    kind: Literal["user", "admin", "crawler", "clock"]
    id: UUID | None = None


CRAWLER = Actor(kind="crawler")
CLOCK = Actor(kind="clock")


async def approve(
    tx: AsyncSession,
    claims: Claims,
    claim: ClaimRow,
    actor: Actor,
    *,
    reason_code: Literal["found", "reviewed"],
    reason: str | None = None,
) -> ClaimRow:
    """Approve, unless the artist has its proof already or has changed hands: then a conflict."""
    artist = await store.artist_for_decision(tx, claim.artist_id)
    is_owner = artist is not None and artist.user_id == claim.user_id
    if not is_owner or await store.approved_claim(tx, claim.artist_id) is not None:
        return await reject(
            tx, claims, claim, "conflict", actor, reason_code="conflict", reason=reason
        )
    claim = await move(
        tx,
        claims,
        claim,
        "approved",
        actor,
        reason_code=reason_code,
        reason=reason,
        decided_by=actor.id,
        decision_reason=reason,
    )
    approved = VerificationApproved(
        request_id=claim.id,
        artist_id=claim.artist_id,
        user_id=claim.user_id,
        reviewer_id=actor.id,
        reason_code=reason_code,
        decided_at=claim.changed_at,
    )
    await claims.outbox.add(tx, approved)
    return claim


async def reject(
    tx: AsyncSession,
    claims: Claims,
    claim: ClaimRow,
    to: Literal["denied", "conflict"],
    actor: Actor,
    *,
    reason_code: Literal["reviewed", "conflict"],
    reason: str | None,
) -> ClaimRow:
    claim = await move(
        tx,
        claims,
        claim,
        to,
        actor,
        reason_code=reason_code,
        reason=reason,
        decided_by=actor.id,
        decision_reason=reason,
    )
    rejected = VerificationRejected(
        request_id=claim.id,
        artist_id=claim.artist_id,
        user_id=claim.user_id,
        reviewer_id=actor.id,
        reason_code=reason_code,
        decided_at=claim.changed_at,
    )
    await claims.outbox.add(tx, rejected)
    return claim


async def expire(tx: AsyncSession, claims: Claims, claim: ClaimRow) -> None:
    await move(tx, claims, claim, "expired", CLOCK, reason_code="expired", job_id=None)
    expired = VerificationExpired(
        request_id=claim.id,
        artist_id=claim.artist_id,
        user_id=claim.user_id,
        expired_at=claims.now(),
    )
    await claims.outbox.add(tx, expired)


async def move(
    tx: AsyncSession,
    claims: Claims,
    claim: ClaimRow,
    to: Status,
    actor: Actor,
    *,
    reason_code: str,
    reason: str | None = None,
    evidence_sha256: str | None = None,
    **values: Any,
) -> ClaimRow:
    """One change of state with its row of history. Raises ClaimNotOpen when another came first."""
    before = cast("Status", claim.status)
    if to not in MOVES[before]:
        raise ClaimNotOpen
    changes = {"status": to, "changed_at": claims.now(), "reason_code": reason_code, **values}
    moved = await store.move(tx, claim.id, expected=before, values=changes)
    if moved is None:
        raise ClaimNotOpen
    _moved.add(1, {"to": to, "reason": reason_code})
    remember(
        tx, moved, before, actor, reason_code=reason_code, reason=reason, evidence=evidence_sha256
    )
    return moved


def remember(
    tx: AsyncSession,
    claim: ClaimRow,
    before: Status | None,
    actor: Actor,
    *,
    reason_code: str,
    reason: str | None = None,
    evidence: str | None = None,
) -> None:
    store.add_transition(
        tx,
        TransitionRow(
            claim_id=claim.id,
            at=claim.changed_at,
            actor=actor.kind,
            actor_id=actor.id,
            from_status=before,
            to_status=claim.status,
            reason_code=reason_code,
            reason=reason,
            evidence_sha256=evidence,
        ),
    )
