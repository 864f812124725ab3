"""HTTP of sessions: refresh, logout, and the list of one's own devices."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from seda_db import Database
from seda_identity import Policy, Principal, Role

from auth_gateway.keys.signing import Signer
from auth_gateway.sessions import operations
from auth_gateway.sessions.domain import RefreshTokenReused, SessionNotFound
from auth_gateway.sessions.operations import Reused, SessionKeeping
from auth_gateway.sessions.revocation import Revocations
from auth_gateway.sessions.tokens import TokenAnswer, answer_with_tokens
from auth_gateway.settings import Settings


class Refresh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    refresh_token: str


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One session of one's own."""

    id: UUID
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    is_current: bool


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Device]
    next_cursor: None = None
    """Always none: an account has few sessions."""


@post(
    "/api/v1/auth/refresh",
    operation_id="RefreshSession",
    tags=["auth"],
    status_code=200,
    policy=Policy("session:refresh", role=Role.ANYONE),
    security=[{}],
)
async def refresh_session(
    data: JSONBody[Refresh],
    settings: NamedDependency[Settings],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    signer: NamedDependency[Signer],
    revocations: NamedDependency[Revocations],
) -> TokenAnswer:
    """Exchange a refresh token for its successor and a new access token."""
    async with db.begin() as tx:
        outcome = await operations.refresh(tx, keeping, text=data.refresh_token)
    if isinstance(outcome, Reused):
        revocations.remember_session(outcome.session_id, at=int(keeping.now().timestamp()))
        raise RefreshTokenReused
    ttl = timedelta(seconds=settings.auth_access_ttl_seconds)
    return answer_with_tokens(outcome, signer, now=keeping.now(), ttl=ttl)


@post(
    "/api/v1/auth/logout",
    operation_id="LogOut",
    tags=["auth"],
    status_code=204,
    policy=Policy("session:end"),
)
async def log_out(
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> None:
    """End this session, and this one only."""
    session_id = principal.session_id
    if session_id is None:
        raise SessionNotFound
    async with db.begin() as tx:
        await operations.end_session(
            tx,
            keeping,
            account_id=principal.require_user(),
            session_id=session_id,
            reason="logout",
        )
    revocations.remember_session(session_id, at=int(keeping.now().timestamp()))


@get(
    "/api/v1/auth/sessions",
    operation_id="ListSessions",
    tags=["auth"],
    policy=Policy("session:list"),
)
async def list_sessions(
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
) -> Devices:
    async with db.read() as tx:
        rows = await operations.list_sessions(tx, keeping, account_id=principal.require_user())
    return Devices(
        items=[
            Device(
                id=row.id,
                user_agent=row.user_agent,
                created_at=row.created_at,
                last_used_at=row.last_used_at,
                is_current=row.id == principal.session_id,
            )
            for row in rows
        ]
    )


@delete(
    "/api/v1/auth/sessions/{session_id:uuid}",
    operation_id="EndSession",
    tags=["auth"],
    policy=Policy("session:end"),
)
async def end_session(
    session_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> None:
    """End one of one's own sessions; another's looks like none."""
    async with db.begin() as tx:
        await operations.end_session(
            tx,
            keeping,
            account_id=principal.require_user(),
            session_id=session_id,
            reason="revoked",
        )
    revocations.remember_session(session_id, at=int(keeping.now().timestamp()))


SESSION_ROUTES = (refresh_session, log_out, list_sessions, end_session)
