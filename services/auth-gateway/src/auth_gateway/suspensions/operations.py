"""Suspend and restore: the account, its sessions and the facts of it in one transaction.

Either raises `perm_version`. That voids the access tokens of before everywhere (as a change of role
does), and it orders the facts for who hears them late.

A bot is suspended with its owner, or alone, as a user like any. When both are, it stays out until
the later end; each fact says how its user stands by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

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
from auth_gateway.tables import AccountRow, BotRow

User = AccountRow | BotRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the user stands, and what this process refuses from now on."""

    user: User
    voided: Sequence[User] = ()
    """Whose `perm_version` was raised."""
    ended_session_ids: Sequence[UUID] = ()


async def suspend(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    actor_id: UUID,
    user_id: UUID,
    reason: str,
    until: datetime | None,
) -> Outcome:
    """Suspending anew replaces reason and end. Raises CannotSuspendSelf, SuspensionForbidden,
    AccountNotFound, InvalidReason or InvalidUntil.
    """
    now = keeping.now()
    said = check_reason(reason)
    check_until(until, now=now)
    user, owner = await _user_to_judge(tx, actor_id, user_id, now)
    user.suspended_at, user.suspended_until = now, until
    user.suspended_by, user.suspension_reason = actor_id, said
    voided = await _tell(tx, keeping, user, owner, actor_id)
    ended = await sessions.end_every_session(tx, keeping, account_id=user_id)
    return Outcome(user=user, voided=voided, ended_session_ids=ended)


async def restore(
    tx: AsyncSession, keeping: SessionKeeping, *, actor_id: UUID, user_id: UUID
) -> Outcome:
    """The person may log in again; nothing of before comes back to life. Raises CannotSuspendSelf,
    SuspensionForbidden or AccountNotFound.
    """
    user, owner = await _user_to_judge(tx, actor_id, user_id, keeping.now())
    if user.suspended_at is None:
        return Outcome(user=user)
    user.suspended_at = user.suspended_until = user.suspended_by = None
    user.suspension_reason = None
    return Outcome(user=user, voided=await _tell(tx, keeping, user, owner, actor_id))


async def _tell(
    tx: AsyncSession, keeping: SessionKeeping, user: User, owner: AccountRow, actor_id: UUID
) -> Sequence[User]:
    """How the user stands now, and the bots with their owner."""
    users: list[User] = [user]
    if user is owner:
        users += await bots.bots_of(tx, owner.id)
    for each in users:
        each.perm_version += 1
    await tx.flush()
    for each in users:
        await keeping.outbox.add(tx, _standing(each, owner, actor_id, keeping.now()))
    return users


def _standing(
    user: User, owner: AccountRow, actor_id: UUID, now: datetime
) -> AccountSuspended | AccountRestored:
    """The suspension that ends last, of the user or the owner, when there is one."""
    last = None
    for each in (user, owner):
        at, until, by = each.suspended_at, each.suspended_until, each.suspended_by
        if at is None or by is None or not is_suspended(suspended_at=at, until=until, now=now):
            continue
        if last is None or (last.until is not None and (until is None or until > last.until)):
            last = AccountSuspended(
                user_id=user.id,
                suspended_by=by,
                suspended_at=at,
                perm_version=user.perm_version,
                until=until,
            )
    return last or AccountRestored(
        user_id=user.id, restored_by=actor_id, restored_at=now, perm_version=user.perm_version
    )


async def _user_to_judge(
    tx: AsyncSession, actor_id: UUID, user_id: UUID, now: datetime
) -> tuple[User, AccountRow]:
    """The account or the bot, and whose it is. Both accounts are locked, and judged by what the
    database says of them, whatever the actor's token says. To suspend, a bot is a person of role
    USER, whoever owns it.
    """
    bot = await store.bot(tx, user_id)
    owner_id = user_id if bot is None else bot.owner_id
    found = await store.accounts_for_update(tx, [actor_id, owner_id])
    actor, owner = found.get(actor_id), found.get(owner_id)
    if actor is None or is_suspended(
        suspended_at=actor.suspended_at, until=actor.suspended_until, now=now
    ):
        raise SuspensionForbidden
    if Role(actor.role) is Role.USER:
        raise SuspensionForbidden
    if bot is not None:
        bot = await store.bot(tx, user_id)
    user = bot or owner
    if user is None or owner is None:
        raise AccountNotFound
    role = Role(owner.role) if user is owner else Role.USER
    check_may_suspend(actor_id, Role(actor.role), user_id, role)
    return user, owner
