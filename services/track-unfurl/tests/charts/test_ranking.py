"""The ranking is a function of what people did, never of how the telling arrived."""

import math
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from seda_contracts.base import Event
from seda_contracts.events.chat import (
    MessageDeleted,
    MessageEdited,
    MessageSent,
    ReactionAdded,
    ReactionRemoved,
    SharedLink,
)
from seda_contracts.events.unfurl import ChartsUpdated, link_id
from seda_db import Database
from seda_testkit.databases import ServiceDatabase
from track_unfurl.charts import domain, operations, store
from track_unfurl.charts.operations import Charts
from track_unfurl.links.domain import read_link
from track_unfurl.tracks.operations import Tracks, attach_link, ensure_track

LINKS = tuple(f"https://www.deezer.com/track/{number}" for number in range(1, 5))
ROOM = UUID(int=1)


def number(value: int, *, kind: int) -> UUID:
    return UUID(int=(kind << 64) + value)


def user(value: int) -> UUID:
    return number(value, kind=2)


def message(value: int) -> UUID:
    return number(value, kind=3)


def links(*urls: str) -> list[SharedLink]:
    return [SharedLink(link_id=link_id(url), url=url) for url in urls]


def sent(value: int, author: int, at: datetime, *urls: str) -> MessageSent:
    return MessageSent(
        room_id=ROOM,
        message_id=message(value),
        author_id=user(author),
        seq=value,
        links=links(*urls),
        has_text=True,
        sent_at=at,
    )


def edited(of: MessageSent, version: int, *urls: str) -> MessageEdited:
    return MessageEdited(
        room_id=ROOM,
        message_id=of.message_id,
        author_id=of.author_id,
        seq=of.seq + version,
        edit_version=version,
        links=links(*urls),
        edited_at=of.sent_at + timedelta(minutes=version),
    )


def deleted(of: MessageSent) -> MessageDeleted:
    return MessageDeleted(
        room_id=ROOM,
        message_id=of.message_id,
        author_id=of.author_id,
        deleted_by=of.author_id,
        seq=of.seq + 99,
        deleted_at=of.sent_at + timedelta(hours=1),
    )


def reacted(of: MessageSent, who: int, seq: int, *, added: bool = True) -> Event:
    if added:
        return ReactionAdded(
            room_id=ROOM,
            message_id=of.message_id,
            user_id=user(who),
            emoji="🔥",
            seq=seq,
            added_at=of.sent_at,
        )
    return ReactionRemoved(
        room_id=ROOM,
        message_id=of.message_id,
        user_id=user(who),
        emoji="🔥",
        seq=seq,
        removed_at=of.sent_at,
    )


async def tell(db: Database, events: list[Event]) -> None:
    async with db.begin() as tx:
        for event in events:
            match event:
                case MessageSent() | MessageEdited():
                    await operations.note_message(tx, event)
                case MessageDeleted():
                    await operations.forget_message(tx, event)
                case ReactionAdded() | ReactionRemoved():
                    await operations.note_reaction(tx, event)


async def scores(db: Database, now: datetime) -> dict[UUID, float]:
    async with db.read() as tx:
        return dict(await store.ranking(tx, now=now))


@pytest.fixture
async def track_ids(db: Database, tracks: Tracks) -> dict[str, UUID]:
    found = {}
    async with db.begin() as tx:
        for url in LINKS:
            track = await ensure_track(tx, tracks, read_link(url))
            await attach_link(tx, tracks, url, track)
            found[url] = track.id
    return found


async def test_a_person_counts_once_per_track_and_the_share_fades(
    db: Database, clock: Any, track_ids: dict[str, UUID]
) -> None:
    now = clock()
    await tell(
        db,
        [
            sent(1, 1, now, LINKS[0]),
            sent(2, 1, now - timedelta(hours=3), LINKS[0]),
            sent(3, 2, now - timedelta(seconds=domain.DECAY_SECONDS), LINKS[0]),
        ],
    )
    found = await scores(db, now)
    assert found[track_ids[LINKS[0]]] == pytest.approx(1 + 1 / math.e)


async def test_what_a_private_room_shares_is_never_ranked(
    db: Database, clock: Any, track_ids: dict[str, UUID]
) -> None:
    now = clock()
    told = structs.replace(sent(1, 1, now, LINKS[0]), in_private_room=True)
    again = structs.replace(edited(told, 1, LINKS[1]), in_private_room=True)
    for events in ([told, again, reacted(told, 2, 5)], [again, told]):
        await tell(db, list(events))
        assert await scores(db, now) == {}


async def test_reactions_weigh_little_and_the_sharers_own_nothing(
    db: Database, clock: Any, track_ids: dict[str, UUID]
) -> None:
    now = clock()
    first = sent(1, 1, now, LINKS[0])
    await tell(db, [first, reacted(first, 1, 2), reacted(first, 2, 3), reacted(first, 3, 4)])
    found = await scores(db, now)
    assert found[track_ids[LINKS[0]]] == pytest.approx(1 + 2 * domain.REACTION_WEIGHT)


async def test_a_flood_within_an_hour_counts_only_up_to_the_cap(
    db: Database, tracks: Tracks, clock: Any
) -> None:
    now = clock()
    urls = [f"https://www.deezer.com/track/{value}" for value in range(100, 130)]
    async with db.begin() as tx:
        for url in urls:
            await attach_link(tx, tracks, url, await ensure_track(tx, tracks, read_link(url)))
    flood = [
        sent(value, 1, now - timedelta(seconds=value), url) for value, url in enumerate(urls, 1)
    ]
    await tell(db, list(flood))
    found = await scores(db, now)
    assert len(found) == domain.SHARES_PER_USER_HOUR_MAX


async def test_a_share_told_before_its_link_is_resolved_counts_from_then_on(
    db: Database, tracks: Tracks, clock: Any
) -> None:
    url = "https://www.deezer.com/track/999"
    await tell(db, [sent(1, 1, clock(), url)])
    assert await scores(db, clock()) == {}
    async with db.begin() as tx:
        await attach_link(tx, tracks, url, await ensure_track(tx, tracks, read_link(url)))
    assert len(await scores(db, clock())) == 1


async def test_an_edit_that_drops_the_link_and_a_deletion_take_the_share_back(
    db: Database, clock: Any, track_ids: dict[str, UUID]
) -> None:
    first, second = sent(1, 1, clock(), LINKS[0]), sent(2, 2, clock(), LINKS[1])
    await tell(db, [first, second, edited(first, 1), deleted(second)])
    assert await scores(db, clock()) == {}


async def test_what_is_older_than_the_window_is_forgotten(
    db: Database, clock: Any, track_ids: dict[str, UUID]
) -> None:
    await tell(db, [sent(1, 1, clock() - domain.WINDOW_LENGTH, LINKS[0])])
    assert await scores(db, clock()) == {}


async def test_the_ranking_is_told_only_when_its_order_changes(
    db: Database, charts: Charts, clock: Any, track_ids: dict[str, UUID], published: Any
) -> None:
    async def rank_again() -> None:
        async with db.begin() as tx:
            await operations.rank(tx, charts)

    first = sent(1, 1, clock(), LINKS[0])
    await tell(db, [first, sent(2, 2, clock(), LINKS[0]), sent(3, 3, clock(), LINKS[1])])
    await rank_again()
    clock.pass_by(timedelta(minutes=5))
    await tell(db, [reacted(first, 9, 9)])
    await rank_again()
    told = [event for event in await published() if isinstance(event, ChartsUpdated)]
    assert [[entry.track_id for entry in event.entries] for event in told] == [
        [track_ids[LINKS[0]], track_ids[LINKS[1]]]
    ]
    await tell(db, [sent(value, value, clock(), LINKS[1]) for value in range(10, 14)])
    await rank_again()
    told = [event for event in await published() if isinstance(event, ChartsUpdated)]
    assert told[-1].entries[0].track_id == track_ids[LINKS[1]]
    assert len(told) == 2


@given(seed=st.integers(0, 10_000))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_the_score_is_independent_of_delivery_order_and_duplicates(
    db: Database,
    migrated: ServiceDatabase,
    tracks: Tracks,
    clock: Any,
    seed: int,
) -> None:
    chance = random.Random(seed)
    history = random_history(chance, clock())
    results = []
    for arrival in (history, shuffled_with_duplicates(chance, history)):
        await migrated.delete_rows()
        async with db.begin() as tx:
            for url in LINKS:
                await attach_link(tx, tracks, url, await ensure_track(tx, tracks, read_link(url)))
        await tell(db, arrival)
        async with db.read() as tx:
            by_url = dict(await ranking_by_url(tx, clock()))
        results.append(by_url)
    assert results[0].keys() == results[1].keys()
    assert all(results[0][url] == pytest.approx(results[1][url]) for url in results[0])


async def ranking_by_url(tx: Any, now: datetime) -> list[tuple[str, float]]:
    from track_unfurl.tracks.store import tracks_by_ids

    ranked = await store.ranking(tx, now=now)
    found = await tracks_by_ids(tx, [track_id for track_id, _ in ranked])
    return [(found[track_id].url, score) for track_id, score in ranked]


def random_history(chance: random.Random, now: datetime) -> list[Event]:
    events: list[Event] = []
    for value in range(1, 9):
        at = now - timedelta(minutes=chance.randrange(0, 9_000))
        first = sent(value * 1_000, chance.randrange(4), at, *chance.sample(LINKS, k=2))
        events.append(first)
        for version in range(1, chance.randrange(1, 4)):
            events.append(edited(first, version, *chance.sample(LINKS, k=chance.randrange(3))))
        if chance.random() < 0.2:
            events.append(deleted(first))
        for seq in range(chance.randrange(4)):
            who = chance.randrange(4)
            events.append(reacted(first, who, first.seq + seq + 1, added=chance.random() < 0.7))
    return events


def shuffled_with_duplicates(chance: random.Random, events: list[Event]) -> list[Event]:
    arrival = events + chance.choices(events, k=len(events) // 2)
    chance.shuffle(arrival)
    return arrival
