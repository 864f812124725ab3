"""Make bots and keys, and take them away. A revoked key is told as the end of a session: its id is
the session of all that it opened.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from seda_contracts.events.auth import BotCreated, SessionRevoked
from seda_runtime.ids import uuid7
from sqlalchemy.ext.asyncio import AsyncSession

from auth_gateway.bots import store
from auth_gateway.bots.domain import (
    BOTS_PER_ACCOUNT_MAX,
    KEYS_PER_BOT_MAX,
    SECRET_BYTES,
    BotNotFound,
    KeyNotFound,
    TooManyBots,
    TooManyKeys,
    check_expiry,
    check_scopes,
    hash_of,
    parse_key,
    written,
)
from auth_gateway.sessions.operations import SessionKeeping
from auth_gateway.tables import ApiKeyRow, BotRow


async def create_bot(
    tx: AsyncSession, keeping: SessionKeeping, *, owner_id: UUID, name: str
) -> BotRow:
    """Raises TooManyBots."""
    await store.lock_owner(tx, owner_id)
    if len(await store.bots_of(tx, owner_id)) >= BOTS_PER_ACCOUNT_MAX:
        raise TooManyBots
    now = keeping.now()
    bot = BotRow(id=uuid7(), owner_id=owner_id, name=name, perm_version=1, created_at=now)
    tx.add(bot)
    await tx.flush()
    created = BotCreated(user_id=bot.id, owner_id=owner_id, created_at=now, display_name=name)
    await keeping.outbox.add(tx, created)
    return bot


async def delete_bot(
    tx: AsyncSession, keeping: SessionKeeping, *, owner_id: UUID, bot_id: UUID
) -> Sequence[UUID]:
    """Its words stay, it does not come back. The ids of the keys that ended. Raises BotNotFound."""
    bot = await _own(tx, owner_id, bot_id)
    bot.deleted_at = keeping.now()
    return await _revoke(tx, keeping, bot_id, await store.live_keys(tx, bot_id))


async def create_key(
    tx: AsyncSession,
    keeping: SessionKeeping,
    *,
    owner_id: UUID,
    bot_id: UUID,
    name: str,
    scopes: frozenset[str],
    expires_at: datetime | None,
) -> tuple[ApiKeyRow, str]:
    """The key and its only copy. Raises BotNotFound, TooManyKeys, InvalidScopes, InvalidExpiry."""
    now = keeping.now()
    check_scopes(scopes)
    check_expiry(expires_at, now=now)
    await _own(tx, owner_id, bot_id)
    if len(await store.live_keys(tx, bot_id)) >= KEYS_PER_BOT_MAX:
        raise TooManyKeys
    key_id = uuid7()
    text = written(key_id, secrets.token_bytes(SECRET_BYTES))
    key = ApiKeyRow(
        id=key_id,
        bot_id=bot_id,
        name=name,
        secret_hash=hash_of(parse_key(text).secret),
        scopes=sorted(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    tx.add(key)
    await tx.flush()
    return key, text


async def list_keys(tx: AsyncSession, *, owner_id: UUID, bot_id: UUID) -> Sequence[ApiKeyRow]:
    """Raises BotNotFound."""
    await _own(tx, owner_id, bot_id)
    return await store.live_keys(tx, bot_id)


async def revoke_key(
    tx: AsyncSession, keeping: SessionKeeping, *, owner_id: UUID, bot_id: UUID, key_id: UUID
) -> Sequence[UUID]:
    """Raises BotNotFound or KeyNotFound."""
    await _own(tx, owner_id, bot_id)
    keys = [key for key in await store.live_keys(tx, bot_id) if key.id == key_id]
    if not keys:
        raise KeyNotFound
    return await _revoke(tx, keeping, bot_id, keys)


async def _own(tx: AsyncSession, owner_id: UUID, bot_id: UUID) -> BotRow:
    bot = await store.bot_for_update(tx, owner_id, bot_id)
    if bot is None:
        raise BotNotFound
    return bot


async def _revoke(
    tx: AsyncSession, keeping: SessionKeeping, bot_id: UUID, keys: Iterable[ApiKeyRow]
) -> list[UUID]:
    now = keeping.now()
    ended = []
    for key in keys:
        key.revoked_at = now
        ended.append(key.id)
        event = SessionRevoked(user_id=bot_id, session_id=key.id, reason="revoked", revoked_at=now)
        await keeping.outbox.add(tx, event)
    await tx.flush()
    return ended
