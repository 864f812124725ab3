"""The SQL of claims, their checks and their history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from verification.domain import LIVE, PERISHABLE, Status
from verification.tables import ArtistRow, CheckRow, ClaimRow, TransitionRow


async def put_artist(
    tx: AsyncSession, *, artist_id: UUID, user_id: UUID, links: list[str], version: int
) -> None:
    """Keep the newest version, whatever order the facts come in."""
    statement = insert(ArtistRow).values(
        id=artist_id, user_id=user_id, links=links, version=version
    )
    newer = statement.excluded
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"user_id": newer.user_id, "links": newer.links, "version": newer.version},
            where=col(ArtistRow.version) < newer.version,
        )
    )


async def artist(tx: AsyncSession, artist_id: UUID) -> ArtistRow | None:
    return await tx.get(ArtistRow, artist_id)


async def artist_for_decision(tx: AsyncSession, artist_id: UUID) -> ArtistRow | None:
    """Locked, so that two claims on one artist are decided one after the other."""
    query = select(ArtistRow).where(col(ArtistRow.id) == artist_id).with_for_update()
    return await tx.scalar(query)


async def lock_claimant(tx: AsyncSession, user_id: UUID) -> None:
    """One new claim of a person at a time, until the transaction ends: limits count exactly."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"verification.claimant:{user_id}"},
    )


async def issued_since(tx: AsyncSession, user_id: UUID, since: datetime) -> Sequence[datetime]:
    query = select(ClaimRow.issued_at).where(
        col(ClaimRow.user_id) == user_id, col(ClaimRow.issued_at) > since
    )
    return (await tx.scalars(query)).all()


async def open_claims(tx: AsyncSession, user_id: UUID, now: datetime) -> int:
    """Claims still under way; what has run out does not count, swept or not."""
    query = (
        select(func.count())
        .select_from(ClaimRow)
        .where(
            col(ClaimRow.user_id) == user_id,
            col(ClaimRow.status).in_(LIVE),
            or_(col(ClaimRow.status) == "found", col(ClaimRow.expires_at) > now),
        )
    )
    return (await tx.scalars(query)).one()


async def approved_claim(tx: AsyncSession, artist_id: UUID) -> UUID | None:
    query = select(ClaimRow.id).where(
        col(ClaimRow.artist_id) == artist_id, col(ClaimRow.status) == "approved"
    )
    return await tx.scalar(query)


async def proves_another(tx: AsyncSession, target_url: str, artist_id: UUID) -> bool:
    """True when this page already carried the proof of a different artist."""
    query = select(ClaimRow.id).where(
        col(ClaimRow.target_url) == target_url,
        col(ClaimRow.status) == "approved",
        col(ClaimRow.artist_id) != artist_id,
    )
    return await tx.scalar(query.limit(1)) is not None


async def add_claim(tx: AsyncSession, values: dict[str, Any]) -> ClaimRow | None:
    """None when a live claim has the same code: draw another."""
    statement = (
        insert(ClaimRow)
        .values(**values)
        .on_conflict_do_nothing(
            index_elements=["code_sha256"],
            index_where=text("status IN ('issued', 'checking', 'found')"),
        )
        .returning(ClaimRow)
    )
    return await tx.scalar(statement)


async def claim(tx: AsyncSession, claim_id: UUID) -> ClaimRow | None:
    return await tx.get(ClaimRow, claim_id)


async def claim_for_change(tx: AsyncSession, claim_id: UUID) -> ClaimRow | None:
    """Locked: what is decided on holds until it is written."""
    query = select(ClaimRow).where(col(ClaimRow.id) == claim_id).with_for_update()
    return await tx.scalar(query)


async def move(
    tx: AsyncSession, claim_id: UUID, *, expected: str, values: dict[str, Any]
) -> ClaimRow | None:
    """Change the claim only from the expected state. None when it has left that state."""
    statement = (
        update(ClaimRow)
        .where(col(ClaimRow.id) == claim_id, col(ClaimRow.status) == expected)
        .values(**values)
        .returning(ClaimRow)
    )
    return await tx.scalar(statement, execution_options={"populate_existing": True})


def add_transition(tx: AsyncSession, transition: TransitionRow) -> None:
    tx.add(transition)


def add_check(tx: AsyncSession, check: CheckRow) -> None:
    tx.add(check)


async def check_of_job(tx: AsyncSession, job_id: UUID) -> tuple[ClaimRow, CheckRow] | None:
    """The check that asked for this job, and its claim, locked before the check is read."""
    asked = select(CheckRow.claim_id).where(col(CheckRow.job_id) == job_id).scalar_subquery()
    query = select(ClaimRow).where(col(ClaimRow.id) == asked).with_for_update()
    claim = await tx.scalar(query)
    if claim is None:
        return None
    check = await tx.scalar(select(CheckRow).where(col(CheckRow.job_id) == job_id))
    assert check is not None  # checks are never deleted
    return claim, check


async def checks_since(tx: AsyncSession, claim_id: UUID, since: datetime) -> Sequence[CheckRow]:
    query = select(CheckRow).where(
        col(CheckRow.claim_id) == claim_id, col(CheckRow.started_at) > since
    )
    return (await tx.scalars(query)).all()


async def last_checks(tx: AsyncSession, claim_ids: Sequence[UUID]) -> dict[UUID, CheckRow]:
    """The latest finished check of each claim that has one; job ids are made in time order."""
    query = (
        select(CheckRow)
        .where(col(CheckRow.claim_id).in_(claim_ids), col(CheckRow.finished_at).is_not(None))
        .order_by(col(CheckRow.claim_id), col(CheckRow.job_id).desc())
        .ext(distinct_on(col(CheckRow.claim_id)))
    )
    return {check.claim_id: check for check in await tx.scalars(query)}


async def overdue_claims(tx: AsyncSession, now: datetime, limit: int) -> Sequence[ClaimRow]:
    """Locked; claims another process is at are left to it."""
    query = (
        select(ClaimRow)
        .where(col(ClaimRow.status).in_(PERISHABLE), col(ClaimRow.expires_at) <= now)
        .order_by(col(ClaimRow.expires_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await tx.scalars(query)).all()


async def unanswered_checks(
    tx: AsyncSession, started_before: datetime, limit: int
) -> Sequence[tuple[ClaimRow, CheckRow]]:
    """Checks that brought no answer in time, with their claims, locked like the overdue ones."""
    query = (
        select(ClaimRow, CheckRow)
        .join(CheckRow, col(CheckRow.job_id) == col(ClaimRow.job_id))
        .where(col(ClaimRow.status) == "checking", col(CheckRow.started_at) <= started_before)
        .limit(limit)
        .with_for_update(of=ClaimRow, skip_locked=True)
    )
    return [(claim, check) for claim, check in await tx.execute(query)]


async def claims_of_user(
    tx: AsyncSession, user_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[ClaimRow]:
    """Newest first; ids are made in time order."""
    query = select(ClaimRow).where(col(ClaimRow.user_id) == user_id)
    if before is not None:
        query = query.where(col(ClaimRow.id) < before)
    return (await tx.scalars(query.order_by(col(ClaimRow.id).desc()).limit(limit))).all()


async def claims_with_status(
    tx: AsyncSession, status: Status, *, after: UUID | None, limit: int
) -> Sequence[ClaimRow]:
    """Oldest first: who waits longest is served first."""
    query = select(ClaimRow).where(col(ClaimRow.status) == status)
    if after is not None:
        query = query.where(col(ClaimRow.id) > after)
    return (await tx.scalars(query.order_by(col(ClaimRow.id)).limit(limit))).all()
