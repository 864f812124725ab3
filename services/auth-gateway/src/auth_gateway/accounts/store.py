"""The SQL of accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy import select as select_columns
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth_gateway.accounts.domain import Role
from auth_gateway.sessions.store import Standing
from auth_gateway.tables import AccountRow

BOOTSTRAP_LOCK = "auth-gateway:bootstrap"


class Credentials(NamedTuple):
    account_id: UUID
    password_hash: str


async def add_account(
    tx: AsyncSession, *, account_id: UUID, email: str, password_hash: str, now: datetime
) -> Standing | None:
    """None when the address is taken; a parallel sign-up with it waits here for the first."""
    statement = (
        insert(AccountRow)
        .values(
            id=account_id,
            email=email,
            password_hash=password_hash,
            role=Role.USER.value,
            perm_version=1,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(col(AccountRow.role), col(AccountRow.perm_version))
    )
    row = (await tx.execute(statement)).first()
    return None if row is None else Standing(role=row.role, perm_version=row.perm_version)


async def credentials(tx: AsyncSession, email: str) -> Credentials | None:
    query = select_columns(col(AccountRow.id), col(AccountRow.password_hash)).where(
        col(AccountRow.email) == email
    )
    row = (await tx.execute(query)).first()
    return None if row is None else Credentials(row.id, row.password_hash)


async def replace_password_hash(
    tx: AsyncSession, account_id: UUID, *, replaced: str, by: str
) -> None:
    """Only if nobody changed the password meanwhile."""
    await tx.execute(
        update(AccountRow)
        .where(col(AccountRow.id) == account_id)
        .where(col(AccountRow.password_hash) == replaced)
        .values(password_hash=by)
        .execution_options(synchronize_session=False)
    )


async def account(tx: AsyncSession, account_id: UUID) -> AccountRow | None:
    return await tx.scalar(select(AccountRow).where(col(AccountRow.id) == account_id))


async def account_for_update(tx: AsyncSession, account_id: UUID) -> AccountRow | None:
    query = select(AccountRow).where(col(AccountRow.id) == account_id).with_for_update()
    return await tx.scalar(query, execution_options={"populate_existing": True})


async def super_admins_for_update(tx: AsyncSession) -> list[UUID]:
    """Locked in id order, so two of them who demote each other at once wait, not deadlock."""
    query = (
        select_columns(col(AccountRow.id))
        .where(col(AccountRow.role) == Role.SUPER_ADMIN.value)
        .order_by(col(AccountRow.id))
        .with_for_update()
    )
    return list((await tx.execute(query)).scalars())


async def lock_bootstrap(tx: AsyncSession) -> None:
    """There may be no row to lock yet, so the lock has a name. Held until the commit."""
    await tx.execute(select_columns(func.pg_advisory_xact_lock(func.hashtext(BOOTSTRAP_LOCK))))


async def accounts_page(
    tx: AsyncSession, *, before_id: UUID | None, email: str | None, rows_max: int
) -> Sequence[AccountRow]:
    """Newest first."""
    query = select(AccountRow).order_by(col(AccountRow.id).desc()).limit(rows_max)
    if before_id is not None:
        query = query.where(col(AccountRow.id) < before_id)
    if email is not None:
        query = query.where(col(AccountRow.email) == email)
    return (await tx.scalars(query)).all()
