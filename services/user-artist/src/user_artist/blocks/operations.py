"""Block somebody, and take it back. Whom it concerns never learns of it."""

from uuid import UUID

from seda_contracts.events.user import BlockChanged
from sqlalchemy.ext.asyncio import AsyncSession

from user_artist.blocks import store
from user_artist.blocks.domain import BLOCKS_MAX, CannotBlockSelf, TooManyBlocks
from user_artist.users import store as users_store
from user_artist.users.domain import UserNotFound
from user_artist.users.operations import Profiles


async def block(tx: AsyncSession, profiles: Profiles, *, user_id: UUID, blocked_id: UUID) -> None:
    """Raises CannotBlockSelf, UserNotFound and TooManyBlocks. Again is no change."""
    if user_id == blocked_id:
        raise CannotBlockSelf
    if await users_store.profile(tx, blocked_id) is None:
        raise UserNotFound
    await store.lock_person(tx, user_id)
    version = await store.put(tx, user_id, blocked_id, now=profiles.now())
    if version is None:
        return
    if await store.count(tx, user_id) > BLOCKS_MAX:
        raise TooManyBlocks
    await _tell(tx, profiles, user_id, blocked_id, is_blocked=True, version=version)


async def unblock(tx: AsyncSession, profiles: Profiles, *, user_id: UUID, blocked_id: UUID) -> None:
    """Somebody who was not blocked stays so."""
    version = await store.take_back(tx, user_id, blocked_id, now=profiles.now())
    if version is not None:
        await _tell(tx, profiles, user_id, blocked_id, is_blocked=False, version=version)


async def _tell(
    tx: AsyncSession,
    profiles: Profiles,
    user_id: UUID,
    blocked_id: UUID,
    *,
    is_blocked: bool,
    version: int,
) -> None:
    event = BlockChanged(
        user_id=user_id,
        blocked_id=blocked_id,
        is_blocked=is_blocked,
        version=version,
        changed_at=profiles.now(),
    )
    await profiles.outbox.add(tx, event)
