"""Sign up, log in, and give or take roles."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from seda_contracts.events.auth import AccountRegistered, RoleChanged
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from auth_gateway.accounts import store
from auth_gateway.accounts.domain import (
    AccountNotFound,
    AlreadyBootstrapped,
    EmailTaken,
    LastSuperAdmin,
    Role,
    RoleForbidden,
    WrongAdminKey,
)
from auth_gateway.sessions import operations as sessions
from auth_gateway.sessions.operations import Grant, SessionKeeping
from auth_gateway.sessions.store import standing
from auth_gateway.tables import AccountRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStanding:
    """An account's role after a change, and the version its new tokens carry."""

    account_id: UUID
    role: Role
    perm_version: int
    changed: bool


async def sign_up(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    email: str,
    password_hash: str,
    display_name: str | None,
    user_agent: str,
) -> Grant:
    """A new account with its first session. Raises EmailTaken."""
    account_id, now = uuid7(), keeping.now()
    added = await store.add_account(
        tx, account_id=account_id, email=email, password_hash=password_hash, now=now
    )
    if added is None:
        raise EmailTaken
    registered = AccountRegistered(
        user_id=account_id, method="password", registered_at=now, display_name=display_name
    )
    await keeping.outbox.add(tx, registered)
    return await sessions.open_session(
        tx, keeping, account_id=account_id, standing=added, user_agent=user_agent
    )


async def log_in(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    proven: store.Credentials,
    fresh_hash: str | None,
    user_agent: str,
) -> Grant:
    """A new session for someone whose password was just verified.

    `fresh_hash` replaces a hash that was made with older parameters.
    """
    if fresh_hash is not None:
        await store.replace_password_hash(
            tx, proven.account_id, replaced=proven.password_hash, by=fresh_hash
        )
    return await sessions.open_session(
        tx,
        keeping,
        account_id=proven.account_id,
        standing=await standing(tx, proven.account_id),
        user_agent=user_agent,
    )


async def own_account(tx: AsyncSession, account_id: UUID) -> AccountRow:
    """Raises AccountNotFound."""
    found = await store.account(tx, account_id)
    if found is None:
        raise AccountNotFound
    return found


async def list_accounts(
    tx: AsyncSession,
    *,
    actor_id: UUID,
    before_id: UUID | None,
    email: str | None,
    rows_max: int,
) -> Sequence[AccountRow]:
    """Raises RoleForbidden when the actor is no admin any more, whatever the token says."""
    actor = await store.account(tx, actor_id)
    if actor is None or actor.role == Role.USER:
        raise RoleForbidden
    return await store.accounts_page(tx, before_id=before_id, email=email, rows_max=rows_max)


async def change_role(
    tx: AsyncSession, keeping: SessionKeeping, *, actor_id: UUID, account_id: UUID, role: Role
) -> RoleStanding:
    """Raises RoleForbidden, AccountNotFound or LastSuperAdmin."""
    super_admins = await store.super_admins_for_update(tx)
    if actor_id not in super_admins:
        raise RoleForbidden
    account = await store.account_for_update(tx, account_id)
    if account is None:
        raise AccountNotFound
    if super_admins == [account_id] and role != Role.SUPER_ADMIN:
        raise LastSuperAdmin
    return await _set_role(tx, keeping, account, role, changed_by=actor_id)


async def bootstrap(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    account_id: UUID,
    presented_key: str,
    admin_api_key: str,
) -> RoleStanding:
    """Make the caller the first SUPER_ADMIN. Raises WrongAdminKey or AlreadyBootstrapped.

    The key is judged first: without it nobody learns whether a SUPER_ADMIN exists.
    """
    if not admin_api_key or not _same(presented_key, admin_api_key):
        raise WrongAdminKey
    await store.lock_bootstrap(tx)
    if await store.super_admins_for_update(tx):
        raise AlreadyBootstrapped
    account = await store.account_for_update(tx, account_id)
    if account is None:
        raise AccountNotFound
    return await _set_role(tx, keeping, account, Role.SUPER_ADMIN, changed_by=account_id)


async def _set_role(
    tx: AsyncSession,
    keeping: SessionKeeping,
    account: AccountRow,
    role: Role,
    *,
    changed_by: UUID,
) -> RoleStanding:
    """The sessions go on: their access tokens are void by `perm_version`, and their next refresh
    carries the new role.
    """
    changed = account.role != role
    if changed:
        account.role = role.value
        account.perm_version += 1
        await tx.flush()
        event = RoleChanged(
            user_id=account.id,
            role=role.value,
            changed_by=changed_by,
            changed_at=keeping.now(),
            perm_version=account.perm_version,
        )
        await keeping.outbox.add(tx, event)
    return RoleStanding(
        account_id=account.id, role=role, perm_version=account.perm_version, changed=changed
    )


def _same(presented: str, expected: str) -> bool:
    """Constant time, also for another length: digests are compared, not the keys."""
    return hmac.compare_digest(
        hashlib.sha256(presented.encode()).digest(), hashlib.sha256(expected.encode()).digest()
    )
