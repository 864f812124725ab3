"""The SQL of links and their cards."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from chat_realtime.cards.domain import FoundLink, ShownCard
from chat_realtime.tables import CardRow, MessageLinkRow

CARD_SLOTS = 1_024
"""Locks for all cards: a batch has many links, and PostgreSQL room for a few thousand locks."""


def hold_cards_sql(slots: str) -> str:
    """What shows cards holds them shared, who replaces one holds it alone; both before any room, in
    the order of the slots, so that no two wait for each other. `slots` is where they are bound.
    """
    return f"""
        SELECT pg_advisory_xact_lock_shared(hashtext('chat.card'), slot)
        FROM unnest(CAST({slots} AS int[])) AS slot
        """  # noqa: S608 - a placeholder of our own


_HOLD_CARDS = text(hold_cards_sql(":slots"))

_CLAIM_CARD = text("SELECT pg_advisory_xact_lock(hashtext('chat.card'), :slot)")

_PUT_CARD = text(
    """
    INSERT INTO chat.card (link_id, card, card_version, updated_at)
    VALUES (:link_id, CAST(:card AS jsonb), :card_version, :now)
    ON CONFLICT (link_id) DO UPDATE
    SET card = excluded.card, card_version = excluded.card_version, updated_at = excluded.updated_at
    WHERE excluded.card_version > card.card_version
    """
)

_LOCK_ROOMS = text(
    """
    SELECT id FROM chat.room
    WHERE id IN (SELECT room_id FROM chat.message_link WHERE link_id = :link_id)
    ORDER BY id FOR NO KEY UPDATE
    """
)

_RAISE_VERSIONS = text(
    """
    UPDATE chat.message_link AS link SET card_version = card.card_version
    FROM chat.card, chat.message
    WHERE link.link_id = :link_id AND card.link_id = link.link_id
      AND message.id = link.message_id AND message.deleted_at IS NULL
      AND link.room_id = ANY(CAST(:room_ids AS uuid[]))
      AND link.card_version < card.card_version
    RETURNING link.room_id, link.message_id, link.url, card.card, card.card_version, message.seq
    """
)

_PLACES = text(
    """
    SELECT link.room_id, link.message_id
    FROM chat.message_link AS link JOIN chat.message ON message.id = link.message_id
    WHERE link.link_id = :link_id AND message.deleted_at IS NULL AND link.card_version = 0
      AND link.room_id = ANY(CAST(:room_ids AS uuid[]))
    ORDER BY link.room_id, message.seq
    """
)


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    room_id: UUID
    message_id: UUID
    shown: ShownCard


async def hold_cards(tx: AsyncSession, link_ids: Collection[UUID]) -> None:
    """Until the commit their cards stay what they are, also the ones that are not there yet. Before
    a room is locked.

    Else a card that is replaced meanwhile would not come to a message that shows the one before:
    its room is not yet one with the link.
    """
    if link_ids:
        await tx.execute(_HOLD_CARDS, {"slots": slots_of(link_ids)})


async def claim_card(tx: AsyncSession, link_id: UUID) -> None:
    """Wait for whoever holds it."""
    await tx.execute(_CLAIM_CARD, {"slot": _slot(link_id)})


def slots_of(link_ids: Collection[UUID]) -> list[int]:
    return sorted({_slot(each) for each in link_ids})


def _slot(link_id: UUID) -> int:
    return link_id.int % CARD_SLOTS


async def known_cards(tx: AsyncSession, links: Sequence[FoundLink]) -> dict[UUID, ShownCard]:
    by_id = {link.link_id: link for link in links}
    if not by_id:
        return {}
    rows = await tx.scalars(select(CardRow).where(col(CardRow.link_id).in_(by_id)))
    return {
        row.link_id: ShownCard(
            link_id=row.link_id,
            url=by_id[row.link_id].url,
            card_version=row.card_version,
            card=row.card,
        )
        for row in rows
    }


def add_links(
    tx: AsyncSession,
    *,
    room_id: UUID,
    message_id: UUID,
    links: Sequence[FoundLink],
    shown: Mapping[UUID, ShownCard],
) -> None:
    tx.add_all(
        MessageLinkRow(
            message_id=message_id,
            link_id=link.link_id,
            room_id=room_id,
            url=link.url,
            position=position,
            card_version=shown[link.link_id].card_version if link.link_id in shown else 0,
        )
        for position, link in enumerate(links)
    )


async def remove_links(tx: AsyncSession, message_id: UUID) -> None:
    await tx.execute(delete(MessageLinkRow).where(col(MessageLinkRow.message_id) == message_id))


async def put_card(
    tx: AsyncSession, *, link_id: UUID, card: dict[str, Any], card_version: int, now: datetime
) -> None:
    """Keeps what it has when that is as new."""
    await tx.execute(
        _PUT_CARD,
        {
            "link_id": link_id,
            "card": msgspec.json.encode(card).decode(),
            "card_version": card_version,
            "now": now,
        },
    )


async def lock_rooms_with_link(tx: AsyncSession, link_id: UUID) -> list[UUID]:
    """Lock every room that shows the link, in id order like everyone who locks several."""
    return list(await tx.scalars(_LOCK_ROOMS, {"link_id": link_id}))


async def attach_card(
    tx: AsyncSession, link_id: UUID, room_ids: Sequence[UUID]
) -> list[Attachment]:
    """Show the newest card on each message in these rooms that shows an older one or none."""
    rows = await tx.execute(_RAISE_VERSIONS, {"link_id": link_id, "room_ids": list(room_ids)})
    return [
        Attachment(
            room_id=row.room_id,
            message_id=row.message_id,
            shown=ShownCard(
                link_id=link_id, url=row.url, card_version=row.card_version, card=row.card
            ),
        )
        for row in sorted(rows, key=lambda row: (row.room_id, row.seq))
    ]


async def messages_without_card(
    tx: AsyncSession, link_id: UUID, room_ids: Sequence[UUID]
) -> list[tuple[UUID, UUID]]:
    """Room and message of each place where the link still waits."""
    rows = await tx.execute(_PLACES, {"link_id": link_id, "room_ids": list(room_ids)})
    return [(row.room_id, row.message_id) for row in rows]
