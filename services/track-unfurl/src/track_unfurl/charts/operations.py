"""What messages and reactions do to the ranking, each inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from seda_contracts.events.chat import (
    MessageDeleted,
    MessageEdited,
    MessageSent,
    ReactionAdded,
    ReactionRemoved,
    SharedLink,
)
from seda_contracts.events.unfurl import ChartsUpdated, RankedTrack, TrackCard
from seda_messaging import Outbox
from seda_runtime.clock import Clock
from sqlalchemy.ext.asyncio import AsyncSession

from track_unfurl.charts import store
from track_unfurl.charts.domain import WINDOW
from track_unfurl.tracks.cards import card_of
from track_unfurl.tracks.store import tracks_by_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Collaborators."""

    outbox: Outbox
    now: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartEntry:
    rank: int
    score: float
    card: TrackCard


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartNow:
    """The ranking with its cards, as of `generated_at`."""

    generated_at: datetime
    entries: tuple[ChartEntry, ...]


async def note_message(tx: AsyncSession, event: MessageSent | MessageEdited) -> None:
    """The links of the newest version of the message, and only those, are its shares.

    Everybody reads the ranking, so what a private room shares counts for nothing.
    """
    if event.in_private_room:
        return
    is_edit = isinstance(event, MessageEdited)
    links: Sequence[SharedLink] = event.links
    if not links and not is_edit:
        return
    newest = await store.put_message(
        tx,
        message_id=event.message_id,
        user_id=event.author_id,
        shared_at=event.edited_at if isinstance(event, MessageEdited) else event.sent_at,
        edit_version=event.edit_version if isinstance(event, MessageEdited) else 0,
    )
    if newest:
        await store.replace_shares(tx, event.message_id, [link.link_id for link in links])


async def forget_message(tx: AsyncSession, event: MessageDeleted) -> None:
    """A tombstone stays, so that an older version told later does not come back to life."""
    await store.put_message(
        tx,
        message_id=event.message_id,
        user_id=event.author_id,
        shared_at=event.deleted_at,
        edit_version=0,
        is_deleted=True,
    )


async def note_reaction(tx: AsyncSession, event: ReactionAdded | ReactionRemoved) -> None:
    await store.put_reaction(
        tx,
        message_id=event.message_id,
        user_id=event.user_id,
        emoji=event.emoji,
        seq=event.seq,
        is_present=isinstance(event, ReactionAdded),
    )


async def rank(tx: AsyncSession, charts: Charts) -> ChartNow:
    """The ranking of this moment; told to others only when its order has changed."""
    now = charts.now()
    ranked = await store.ranking(tx, now=now)
    is_new_order = await store.put_chart(tx, [track_id for track_id, _ in ranked], now=now)
    if is_new_order:
        entries = [
            RankedTrack(track_id=track_id, score=score, rank=place)
            for place, (track_id, score) in enumerate(ranked, start=1)
        ]
        await charts.outbox.add(tx, ChartsUpdated(window=WINDOW, entries=entries, generated_at=now))
    tracks = await tracks_by_ids(tx, [track_id for track_id, _ in ranked])
    return ChartNow(
        generated_at=now,
        entries=tuple(
            ChartEntry(rank=place, score=score, card=card_of(tracks[track_id]))
            for place, (track_id, score) in enumerate(ranked, start=1)
        ),
    )
