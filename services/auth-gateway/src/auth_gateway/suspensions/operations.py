"""Suspend and restore: the account, its sessions and the facts of it in one transaction.

Either raises `perm_version`. That voids the access tokens of before everywhere (as a change of role
does), and it orders the facts for who hears them late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import structs
from seda_contracts.events.auth import AccountRestored, AccountSuspended
from sqlalchemy.ext.asyncio import AsyncSession

from auth_gateway.accounts.domain import AccountNotFound, Role
from auth_gateway.bots import store as bots
from auth_gateway.sessions import operations as sessions
from auth_gateway.sessions.domain import is_suspended
from auth_gateway.sessions.operations import SessionKeeping
from auth_gateway.suspensions import store
from auth_gateway.suspensions.domain import (
    SuspensionForbidden,
    check_may_suspend,
    check_reason,
    check_until,
)
from auth_gateway.tables import AccountRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the account stands, and what this process refuses from now on."""

    account: AccountRow
    changed: bool
    ended_session_ids: Sequence[UUID] = ()


async def suspend(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    actor_id: UUID,
    account_id: UUID,
    reason: str,
    until: datetime | None,
) -> Outcome:
    """Suspending anew replaces reason and end. Raises CannotSuspendSelf, SuspensionForbidden,
    AccountNotFound, InvalidReason or InvalidUntil.
    """
    now = keeping.now()
    said = check_reason(reason)
    check_until(until, now=now)
    account = await _account_to_judge(tx, actor_id, account_id, now)
    account.suspended_at, account.suspended_until = now, until
    account.suspended_by, account.suspension_reason = actor_id, said
    account.perm_version += 1
    await tx.flush()
    suspended = AccountSuspended(
        user_id=account_id,
        suspended_by=actor_id,
        suspended_at=now,
        perm_version=account.perm_version,
        until=until,
    )
    await keeping.outbox.add(tx, suspended)
    for bot_id, version in (await bots.raise_versions(tx, account_id)).items():
        fact = structs.replace(suspended, user_id=bot_id, perm_version=version)
        await keeping.outbox.add(tx, fact)
    ended = await sessions.end_every_session(tx, keeping, account_id=account_id)
    return Outcome(account=account, changed=True, ended_session_ids=ended)


async def restore(
    tx: AsyncSession, keeping: SessionKeeping, *, actor_id: UUID, account_id: UUID
) -> Outcome:
    """The person may log in again; nothing of before comes back to life. Raises CannotSuspendSelf,
    SuspensionForbidden or AccountNotFound.
    """
    now = keeping.now()
    account = await _account_to_judge(tx, actor_id, account_id, now)
    if account.suspended_at is None:
        return Outcome(account=account, changed=False)
    account.suspended_at = account.suspended_until = account.suspended_by = None
    account.suspension_reason = None
    account.perm_version += 1
    await tx.flush()
    restored = AccountRestored(
        user_id=account_id,
        restored_by=actor_id,
        restored_at=now,
        perm_version=account.perm_version,
    )
    await keeping.outbox.add(tx, restored)
    for bot_id, version in (await bots.raise_versions(tx, account_id)).items():
        fact = structs.replace(restored, user_id=bot_id, perm_version=version)
        await keeping.outbox.add(tx, fact)
    return Outcome(account=account, changed=True)


async def _account_to_judge(
    tx: AsyncSession, actor_id: UUID, account_id: UUID, now: datetime
) -> AccountRow:
    """Locked, and judged by what the database says of both, whatever the actor's token says."""
    found = await store.accounts_for_update(tx, [actor_id, account_id])
    actor, account = found.get(actor_id), found.get(account_id)
    if actor is None or is_suspended(
        suspended_at=actor.suspended_at, until=actor.suspended_until, now=now
    ):
        raise SuspensionForbidden
    if Role(actor.role) is Role.USER:
        raise SuspensionForbidden
    if account is None:
        raise AccountNotFound
    check_may_suspend(actor_id, Role(actor.role), account_id, Role(account.role))
    return account
