"""Take in what others say of people, and tell every process whose card has changed."""

from uuid import UUID

import msgspec
from seda_contracts.events.artist import ArtistState
from seda_contracts.events.auth import BotCreated
from seda_contracts.events.user import BlockChanged, UserState
from seda_contracts.live import AUTHOR_SUBJECT
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.people import store
from chat_realtime.people.domain import AuthorChanged
from chat_realtime.signals import Signals


async def apply_user_state(tx: AsyncSession, signals: Signals, state: UserState) -> None:
    if await store.put_person(tx, state):
        _tell(tx, signals, state.user_id)


async def apply_artist_state(tx: AsyncSession, signals: Signals, state: ArtistState) -> None:
    if await store.put_artist(tx, state):
        _tell(tx, signals, state.user_id)


async def apply_bot(tx: AsyncSession, signals: Signals, event: BotCreated) -> None:
    if await store.put_bot(tx, event.user_id):
        _tell(tx, signals, event.user_id)


async def apply_block(tx: AsyncSession, event: BlockChanged) -> None:
    """Counts from now on; what was counted before is counted anew when it is asked for."""
    await store.put_block(tx, event)


def _tell(tx: AsyncSession, signals: Signals, user_id: UUID) -> None:
    signals.stage(tx, AUTHOR_SUBJECT, msgspec.json.encode(AuthorChanged(user_id=user_id)))
