"""The SQL of admission: tickets that were used, sessions that ended, roles that changed, people
who are suspended.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from chat_realtime.tables import (
    RevokedSessionRow,
    RoleChangeRow,
    SuspensionRow,
    UsedTicketRow,
)

REVOCATION_KEPT = timedelta(days=1)
"""Longer than any token lives."""

_USE_TICKETS = text(
    """
    INSERT INTO chat.used_ticket (ticket_id, expires_at)
    SELECT ticket_id, expires_at
    FROM unnest(CAST(:ticket_ids AS text[]), CAST(:expire AS timestamptz[]))
        AS ticket(ticket_id, expires_at)
    ORDER BY ticket_id
    ON CONFLICT DO NOTHING
    RETURNING ticket_id
    """
)


async def use_tickets(tx: AsyncSession, expires_at: Mapping[str, datetime]) -> set[str]:
    """Those of the tickets that were not used before, on whichever process.

    In the order of their ids, so that two processes with the same tickets cannot wait for each
    other.
    """
    ticket_ids = sorted(expires_at)
    if not ticket_ids:
        return set()
    parameters = {
        "ticket_ids": ticket_ids,
        "expire": [expires_at[ticket_id] for ticket_id in ticket_ids],
    }
    return set(await tx.scalars(_USE_TICKETS, parameters))


async def revoke_session(tx: AsyncSession, session_id: UUID, *, now: datetime) -> None:
    statement = insert(RevokedSessionRow).values(session_id=session_id, revoked_at=now)
    await tx.execute(statement.on_conflict_do_nothing())


async def revoked_among(tx: AsyncSession, session_ids: Sequence[UUID]) -> set[UUID]:
    query = select(RevokedSessionRow.session_id).where(
        col(RevokedSessionRow.session_id).in_(session_ids)
    )
    return set(await tx.scalars(query))


async def put_role_change(
    tx: AsyncSession, user_id: UUID, *, perm_version: int, now: datetime
) -> None:
    """A change told late does not undo a newer one."""
    statement = insert(RoleChangeRow).values(
        user_id=user_id, perm_version=perm_version, changed_at=now
    )
    new = statement.excluded
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id"],
            set_={"perm_version": new.perm_version, "changed_at": new.changed_at},
            where=col(RoleChangeRow.perm_version) < new.perm_version,
        )
    )


async def perm_versions(tx: AsyncSession, user_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Of those whose role changed lately: tokens below this are void."""
    query = select(RoleChangeRow.user_id, RoleChangeRow.perm_version).where(
        col(RoleChangeRow.user_id).in_(user_ids)
    )
    return {user_id: version for user_id, version in await tx.execute(query)}


async def put_suspension(
    tx: AsyncSession,
    user_id: UUID,
    *,
    perm_version: int,
    is_suspended: bool,
    until: datetime | None,
    now: datetime,
) -> bool:
    """False for what was told late: the highest version says how the account stands."""
    statement = insert(SuspensionRow).values(
        user_id=user_id,
        perm_version=perm_version,
        is_suspended=is_suspended,
        until=until,
        changed_at=now,
    )
    new = statement.excluded
    put = statement.on_conflict_do_update(
        index_elements=["user_id"],
        set_={
            "perm_version": new.perm_version,
            "is_suspended": new.is_suspended,
            "until": new.until,
            "changed_at": new.changed_at,
        },
        where=col(SuspensionRow.perm_version) <= new.perm_version,
    ).returning(col(SuspensionRow.user_id))
    return await tx.scalar(put) is not None


async def suspended_among(
    tx: AsyncSession, user_ids: Sequence[UUID], *, now: datetime
) -> dict[UUID, int]:
    """Who is suspended, and since which version of their rights."""
    query = select(SuspensionRow.user_id, SuspensionRow.perm_version).where(
        col(SuspensionRow.user_id).in_(user_ids),
        col(SuspensionRow.is_suspended),
        or_(col(SuspensionRow.until).is_(None), col(SuspensionRow.until) > now),
    )
    return {user_id: version for user_id, version in await tx.execute(query)}


async def forget_expired(tx: AsyncSession, *, now: datetime) -> None:
    """Drop what can no longer be presented anyway."""
    await tx.execute(
        delete(UsedTicketRow).where(col(UsedTicketRow.expires_at) < now - timedelta(minutes=5))
    )
    await tx.execute(
        delete(RevokedSessionRow).where(col(RevokedSessionRow.revoked_at) < now - REVOCATION_KEPT)
    )
    await tx.execute(
        delete(RoleChangeRow).where(col(RoleChangeRow.changed_at) < now - REVOCATION_KEPT)
    )
    await tx.execute(
        delete(SuspensionRow).where(col(SuspensionRow.changed_at) < now - REVOCATION_KEPT)
    )
