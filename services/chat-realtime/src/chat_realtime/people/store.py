"""The SQL of authors. A projection takes only what is newer than what it has."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts.events.artist import ArtistState
from seda_contracts.events.user import BlockChanged, UserState
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from chat_realtime.people.domain import AuthorCard
from chat_realtime.tables import BlockRow

# A person may have several artist profiles: the verified one is shown, else the first made.
CARD_SQL = """
    (SELECT row_to_json(card) FROM (
        SELECT asked.user_id, person.handle, person.display_name, person.avatar_url,
            (SELECT row_to_json(artist) FROM (
                SELECT artist_id, artist_name, verified
                FROM chat.artist WHERE artist.user_id = asked.user_id
                ORDER BY verified DESC, artist_id LIMIT 1) AS artist) AS artist,
            EXISTS (SELECT FROM chat.bot WHERE bot.user_id = asked.user_id) AS is_bot) AS card)
"""
"""An author card; the surrounding query names the author `asked.user_id` and joins `person`."""

_CARDS = text(
    f"""
    SELECT asked.user_id, {CARD_SQL} AS card
    FROM unnest(CAST(:user_ids AS uuid[])) AS asked(user_id)
    LEFT JOIN chat.person ON person.user_id = asked.user_id
    """  # noqa: S608 - put together from this file's own constant
)

_PUT_PERSON = text(
    """
    INSERT INTO chat.person (user_id, handle, display_name, avatar_url, version)
    VALUES (:user_id, :handle, :display_name, :avatar_url, :version)
    ON CONFLICT (user_id) DO UPDATE
    SET handle = excluded.handle, display_name = excluded.display_name,
        avatar_url = excluded.avatar_url, version = excluded.version
    WHERE excluded.version > person.version
    RETURNING user_id
    """
)

_PUT_ARTIST = text(
    """
    INSERT INTO chat.artist (artist_id, user_id, artist_name, verified, version)
    VALUES (:artist_id, :user_id, :artist_name, :verified, :version)
    ON CONFLICT (artist_id) DO UPDATE
    SET user_id = excluded.user_id, artist_name = excluded.artist_name,
        verified = excluded.verified, version = excluded.version
    WHERE excluded.version > artist.version
    RETURNING artist_id
    """
)

_PUT_BLOCK = text(
    """
    INSERT INTO chat.block (user_id, blocked_id, version, is_blocked)
    VALUES (:user_id, :blocked_id, :version, :is_blocked)
    ON CONFLICT (user_id, blocked_id) DO UPDATE
    SET version = excluded.version, is_blocked = excluded.is_blocked
    WHERE excluded.version > block.version
    """
)

_PUT_BOT = text(
    "INSERT INTO chat.bot (user_id) VALUES (:user_id) ON CONFLICT DO NOTHING RETURNING user_id"
)

# Each version only rises, and a bot stays one, so their sum orders the cards of one person.
_REVISION = text(
    """
    SELECT coalesce((SELECT version FROM chat.person WHERE user_id = :user_id), 0)
         + coalesce((SELECT sum(version) FROM chat.artist WHERE user_id = :user_id), 0)
         + (SELECT count(*) FROM chat.bot WHERE user_id = :user_id)
    """
)


async def cards(tx: AsyncSession, user_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """A card for every id asked for, as JSON values."""
    rows = await tx.execute(_CARDS, {"user_ids": list(user_ids)})
    return {row.user_id: row.card for row in rows}


async def card_with_revision(tx: AsyncSession, user_id: UUID) -> tuple[AuthorCard, int]:
    found = await cards(tx, [user_id])
    revision = await tx.scalar(_REVISION, {"user_id": user_id})
    return msgspec.convert(found[user_id], AuthorCard), int(revision or 0)


async def put_person(tx: AsyncSession, state: UserState) -> bool:
    """False when something newer, or the same, is known already."""
    return (
        await tx.scalar(_PUT_PERSON, msgspec.to_builtins(state, builtin_types=(UUID,))) is not None
    )


async def put_artist(tx: AsyncSession, state: ArtistState) -> bool:
    """False when something newer, or the same, is known already."""
    parameters = msgspec.to_builtins(state, builtin_types=(UUID,))
    return await tx.scalar(_PUT_ARTIST, parameters) is not None


async def put_bot(tx: AsyncSession, user_id: UUID) -> bool:
    """False when it is known already."""
    return await tx.scalar(_PUT_BOT, {"user_id": user_id}) is not None


async def put_block(tx: AsyncSession, event: BlockChanged) -> None:
    """What is older than what is known changes nothing."""
    parameters = {
        "user_id": event.user_id,
        "blocked_id": event.blocked_id,
        "version": event.version,
        "is_blocked": event.is_blocked,
    }
    await tx.execute(_PUT_BLOCK, parameters)


async def has_blocked(tx: AsyncSession, user_id: UUID, *, blocked_id: UUID) -> bool:
    query = select(BlockRow.is_blocked).where(
        col(BlockRow.user_id) == user_id, col(BlockRow.blocked_id) == blocked_id
    )
    return bool(await tx.scalar(query))
