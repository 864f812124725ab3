"""HTTP of bots and keys: for the person who owns them, never for a bot."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from seda_db import Database
from seda_identity import Policy, Principal

from auth_gateway.accounts.domain import check_display_name
from auth_gateway.bots import operations, store
from auth_gateway.sessions.domain import is_suspended
from auth_gateway.sessions.operations import SessionKeeping
from auth_gateway.sessions.revocation import Revocations
from auth_gateway.tables import ApiKeyRow, BotRow


class NewBot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str


class Bot(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the user id under which others meet it."""

    id: UUID
    name: str
    created_at: datetime
    is_suspended: bool
    """By an admin, alone: its keys open nothing until it is restored."""


class Bots(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Bot]
    next_cursor: None = None
    """Always none: an account has few bots."""


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=20)]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_on: date | None


class MadeKey(Key, frozen=True, kw_only=True):
    """`key` is shown this once."""

    key: str


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Key]
    next_cursor: None = None


@post("/api/v1/bots", operation_id="CreateBot", tags=["bots"], policy=Policy("bot:manage"))
async def create_bot(
    data: JSONBody[NewBot],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
) -> Bot:
    name = check_display_name(data.name)
    async with db.begin() as tx:
        bot = await operations.create_bot(tx, keeping, owner_id=principal.require_user(), name=name)
    return _shown(bot, keeping.now())


@get("/api/v1/bots", operation_id="ListBots", tags=["bots"], policy=Policy("bot:manage"))
async def list_bots(
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
) -> Bots:
    async with db.read() as tx:
        rows = await store.bots_of(tx, principal.require_user())
    return Bots(items=[_shown(row, keeping.now()) for row in rows])


@delete(
    "/api/v1/bots/{bot_id:uuid}",
    operation_id="DeleteBot",
    tags=["bots"],
    policy=Policy("bot:manage"),
)
async def delete_bot(
    bot_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> None:
    """Its keys end with it; what it said stays."""
    async with db.begin() as tx:
        ended = await operations.delete_bot(
            tx, keeping, owner_id=principal.require_user(), bot_id=bot_id
        )
    _refuse(ended, keeping, revocations)


@post(
    "/api/v1/bots/{bot_id:uuid}/keys",
    operation_id="CreateKey",
    tags=["bots"],
    policy=Policy("bot:manage"),
)
async def create_key(
    bot_id: FromPath[UUID],
    data: JSONBody[NewKey],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
) -> MadeKey:
    """The answer holds the only copy of the key."""
    async with db.begin() as tx:
        row, text = await operations.create_key(
            tx,
            keeping,
            owner_id=principal.require_user(),
            bot_id=bot_id,
            name=check_display_name(data.name),
            scopes=frozenset(data.scopes),
            expires_at=data.expires_at,
        )
    return MadeKey(**msgspec.structs.asdict(_key(row)), key=text)


@get(
    "/api/v1/bots/{bot_id:uuid}/keys",
    operation_id="ListKeys",
    tags=["bots"],
    policy=Policy("bot:manage"),
)
async def list_keys(
    bot_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
) -> Keys:
    async with db.begin() as tx:
        rows = await operations.list_keys(tx, owner_id=principal.require_user(), bot_id=bot_id)
    return Keys(items=[_key(row) for row in rows])


@delete(
    "/api/v1/bots/{bot_id:uuid}/keys/{key_id:uuid}",
    operation_id="RevokeKey",
    tags=["bots"],
    policy=Policy("bot:manage"),
)
async def revoke_key(
    bot_id: FromPath[UUID],
    key_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    keeping: NamedDependency[SessionKeeping],
    revocations: NamedDependency[Revocations],
) -> None:
    """At once here, everywhere within five seconds; its sockets close."""
    async with db.begin() as tx:
        ended = await operations.revoke_key(
            tx, keeping, owner_id=principal.require_user(), bot_id=bot_id, key_id=key_id
        )
    _refuse(ended, keeping, revocations)


BOT_ROUTES = (create_bot, list_bots, delete_bot, create_key, list_keys, revoke_key)


def _shown(row: BotRow, now: datetime) -> Bot:
    at, until = row.suspended_at, row.suspended_until
    return Bot(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        is_suspended=is_suspended(suspended_at=at, until=until, now=now),
    )


def _key(row: ApiKeyRow) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=row.scopes,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_on=row.last_used_on,
    )


def _refuse(key_ids: Iterable[UUID], keeping: SessionKeeping, revocations: Revocations) -> None:
    for key_id in key_ids:
        revocations.remember_session(key_id, at=int(keeping.now().timestamp()))
