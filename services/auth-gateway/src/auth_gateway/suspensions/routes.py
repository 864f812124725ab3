"""HTTP of suspensions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from seda_db import Database
from seda_identity import Policy, Principal, Role

from auth_gateway.sessions.operations import SessionKeeping
from auth_gateway.sessions.revocation import Revocations
from auth_gateway.suspensions import operations
from auth_gateway.suspensions.operations import Outcome


class NewSuspension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason is for who administers; the person is not told it."""

    reason: str
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class SuspensionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    is_suspended: bool
    until: datetime | None


@post(
    "/api/v1/admin/users/{user_id:uuid}/suspend",
    operation_id="SuspendAccount",
    tags=["admin"],
    status_code=200,
    policy=Policy("account:suspend", role=Role.ADMIN),
)
async def suspend_account(
    user_id: FromPath[UUID],
    data: JSONBody[NewSuspension],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> SuspensionAnswer:
    """Keep an account or a bot out: sessions end, tokens are void, sockets close."""
    async with db.begin() as tx:
        outcome = await operations.suspend(
            tx,
            keeping,
            actor_id=principal.require_user(),
            user_id=user_id,
            reason=data.reason,
            until=data.until,
        )
    return _answer(outcome, keeping, revocations)


@post(
    "/api/v1/admin/users/{user_id:uuid}/restore",
    operation_id="RestoreAccount",
    tags=["admin"],
    status_code=200,
    policy=Policy("account:suspend", role=Role.ADMIN),
)
async def restore_account(
    user_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> SuspensionAnswer:
    """Let an account or a bot in again. The person logs in anew."""
    async with db.begin() as tx:
        outcome = await operations.restore(
            tx, keeping, actor_id=principal.require_user(), user_id=user_id
        )
    return _answer(outcome, keeping, revocations)


SUSPENSION_ROUTES = (suspend_account, restore_account)


def _answer(
    outcome: Outcome, keeping: SessionKeeping, revocations: Revocations
) -> SuspensionAnswer:
    """What is void is refused here from this line on; elsewhere when the events arrive."""
    user = outcome.user
    at = int(keeping.now().timestamp())
    for each in outcome.voided:
        revocations.remember_role(each.id, at=at, perm_version=each.perm_version)
    for session_id in outcome.ended_session_ids:
        revocations.remember_session(session_id, at=at)
    return SuspensionAnswer(
        user_id=user.id,
        is_suspended=user.suspended_at is not None,
        until=user.suspended_until,
    )
