"""HTTP of accounts: sign-up, login, who am I, and roles."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, Parameter
from seda_db import Database
from seda_identity import Policy, Principal, Role

from auth_gateway.accounts import operations, store
from auth_gateway.accounts.domain import Role as AccountRole
from auth_gateway.accounts.domain import (
    SignupClosed,
    WrongCredentials,
    check_display_name,
    check_new_password,
    check_password_length,
    cursor_of_id,
    id_of_cursor,
    normal_email,
)
from auth_gateway.accounts.hashing import PasswordHashing
from auth_gateway.accounts.operations import RoleStanding
from auth_gateway.keys.signing import Signer
from auth_gateway.sessions.operations import Grant, SessionKeeping
from auth_gateway.sessions.revocation import Revocations
from auth_gateway.sessions.tokens import TokenAnswer, answer_with_tokens
from auth_gateway.settings import Settings

PAGE_ROWS_DEFAULT = 20


class NewAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email: str
    password: str
    display_name: str | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email: str
    password: str


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    admin_api_key: str


class NewRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: AccountRole


class RoleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The account's access tokens are void now: refresh to hold the new role."""

    user_id: UUID
    role: str


class OwnAccount(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    email: str
    role: str
    session_id: UUID | None
    created_at: datetime


class AdminAccount(msgspec.Struct, frozen=True, kw_only=True):
    """No address: an admin may search by one, but never reads one."""

    id: UUID
    role: str
    created_at: datetime


class AdminAccounts(msgspec.Struct, frozen=True, kw_only=True):
    items: list[AdminAccount]
    next_cursor: str | None


@post(
    "/api/v1/auth/signup",
    operation_id="SignUp",
    tags=["auth"],
    policy=Policy("account:create", role=Role.ANYONE, limit="auth"),
    security=[{}],
)
async def sign_up(
    request: Request[Any, Any, Any],
    data: JSONBody[NewAccount],
    settings: NamedDependency[Settings],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    hashing: NamedDependency[PasswordHashing],
    signer: NamedDependency[Signer],
) -> TokenAnswer:
    """Make an account and log in."""
    if not settings.auth_signup_enabled:
        raise SignupClosed
    email = normal_email(data.email)
    name = None if data.display_name is None else check_display_name(data.display_name)
    check_new_password(data.password, email=email, display_name=name)
    password_hash = await hashing.hash(data.password)
    async with db.begin() as tx:
        grant = await operations.sign_up(
            tx,
            keeping,
            email=email,
            password_hash=password_hash,
            display_name=name,
            user_agent=user_agent_of(request),
        )
    return tokens_for(grant, signer, keeping, settings)


@post(
    "/api/v1/auth/login",
    operation_id="LogIn",
    tags=["auth"],
    status_code=200,
    policy=Policy("session:create", role=Role.ANYONE, limit="auth"),
    security=[{}],
)
async def log_in(
    request: Request[Any, Any, Any],
    data: JSONBody[Login],
    settings: NamedDependency[Settings],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    hashing: NamedDependency[PasswordHashing],
    signer: NamedDependency[Signer],
) -> TokenAnswer:
    """Open a session on this device."""
    check_password_length(data.password)
    async with db.read() as tx:
        held = await store.credentials(tx, normal_email(data.email))
    matches = await hashing.verify(data.password, held and held.password_hash)
    if held is None or not matches:
        raise WrongCredentials
    outdated = hashing.is_outdated(held.password_hash)
    fresh_hash = await hashing.hash(data.password) if outdated else None
    async with db.begin() as tx:
        grant = await operations.log_in(
            tx, keeping, proven=held, fresh_hash=fresh_hash, user_agent=user_agent_of(request)
        )
    return tokens_for(grant, signer, keeping, settings)


@get("/api/v1/auth/me", operation_id="GetOwnAccount", tags=["auth"], policy=Policy("account:read"))
async def own_account(
    principal: NamedDependency[Principal], db: NamedDependency[Database]
) -> OwnAccount:
    async with db.read() as tx:
        row = await operations.own_account(tx, principal.require_user())
    return OwnAccount(
        user_id=row.id,
        email=row.email,
        role=row.role,
        session_id=principal.session_id,
        created_at=row.created_at,
    )


@post(
    "/api/v1/auth/bootstrap",
    operation_id="Bootstrap",
    tags=["auth"],
    status_code=200,
    policy=Policy("role:bootstrap", limit="auth"),
)
async def bootstrap(
    data: JSONBody[Bootstrap],
    principal: NamedDependency[Principal],
    settings: NamedDependency[Settings],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> RoleAnswer:
    """Become the first SUPER_ADMIN with the operator's key, once."""
    async with db.begin() as tx:
        standing = await operations.bootstrap(
            tx,
            keeping,
            account_id=principal.require_user(),
            presented_key=data.admin_api_key,
            admin_api_key=settings.admin_api_key,
        )
    return _answer_role(standing, keeping, revocations)


@put(
    "/api/v1/admin/users/{user_id:uuid}/role",
    operation_id="ChangeRole",
    tags=["admin"],
    policy=Policy("role:grant", role=Role.SUPER_ADMIN),
)
async def change_role(
    user_id: FromPath[UUID],
    data: JSONBody[NewRole],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> RoleAnswer:
    """Give or take a role. The account's access tokens are void from now on."""
    async with db.begin() as tx:
        standing = await operations.change_role(
            tx,
            keeping,
            actor_id=principal.require_user(),
            account_id=user_id,
            role=data.role,
        )
    return _answer_role(standing, keeping, revocations)


@get(
    "/api/v1/admin/users",
    operation_id="ListAccounts",
    tags=["admin"],
    policy=Policy("account:list", role=Role.ADMIN),
)
async def list_accounts(
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    limit: FromQuery[Annotated[int, Parameter(ge=1, le=100)]] = PAGE_ROWS_DEFAULT,
    cursor: FromQuery[str | None] = None,
    email: FromQuery[str | None] = None,
) -> AdminAccounts:
    """Accounts, newest first; `email` finds the one with exactly this address."""
    async with db.read() as tx:
        rows = await operations.list_accounts(
            tx,
            actor_id=principal.require_user(),
            before_id=None if cursor is None else id_of_cursor(cursor),
            email=None if email is None else normal_email(email),
            rows_max=limit + 1,
        )
    items = [AdminAccount(id=r.id, role=r.role, created_at=r.created_at) for r in rows[:limit]]
    more = len(rows) > limit
    return AdminAccounts(items=items, next_cursor=cursor_of_id(items[-1].id) if more else None)


ACCOUNT_ROUTES = (sign_up, log_in, own_account, bootstrap, change_role, list_accounts)


def tokens_for(
    grant: Grant, signer: Signer, keeping: SessionKeeping, settings: Settings
) -> TokenAnswer:
    ttl = timedelta(seconds=settings.auth_access_ttl_seconds)
    return answer_with_tokens(grant, signer, now=keeping.now(), ttl=ttl)


def user_agent_of(request: Request[Any, Any, Any]) -> str:
    """For the list of one's own sessions; unprintable letters would not be readable there."""
    text = request.headers.get("user-agent", "")
    return "".join(letter for letter in text if letter.isprintable())


def _answer_role(
    standing: RoleStanding, keeping: SessionKeeping, revocations: Revocations
) -> RoleAnswer:
    """Old tokens are refused here from this line on; elsewhere when the event arrives."""
    if standing.changed:
        revocations.remember_role(
            standing.account_id,
            at=int(keeping.now().timestamp()),
            perm_version=standing.perm_version,
        )
    return RoleAnswer(user_id=standing.account_id, role=standing.role.value)
