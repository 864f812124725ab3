"""Each event delivered twice has one effect."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from seda_contracts.events.chat import MessageSent, ReactionAdded, SharedLink
from seda_contracts.events.unfurl import LinkUnresolvable, TrackResolved, UnfurlResolve, link_id
from seda_db import Database
from seda_testkit.eventually import eventually
from sqlalchemy import text

DEEZER = "https://www.deezer.com/track/3135556"


def resolve(url: str) -> UnfurlResolve:
    return UnfurlResolve(link_id=link_id(url), url=url)


async def inbox_count(db: Database, consumer: str) -> int:
    async with db.read() as tx:
        query = text("SELECT count(*) FROM unfurl.inbox WHERE consumer = :consumer")
        return int((await tx.execute(query, {"consumer": consumer})).scalar_one())


async def resolved_links(published: Any, awaited_url: str) -> list[TrackResolved]:
    """Every answer so far, once `awaited_url` has got its own."""
    told = [event for event in await published() if isinstance(event, TrackResolved)]
    return told if awaited_url in {event.url for event in told} else []


async def test_a_command_is_answered_with_a_card_once(
    client: Any, deliver: Callable[..., Any], providers: Any, published: Any
) -> None:
    providers.has_deezer_track()
    await deliver(resolve(DEEZER), times=2)

    async def resolved() -> list[TrackResolved]:
        return await resolved_links(published, DEEZER)

    await eventually(resolved)
    another = "https://www.deezer.com/de/track/3135556"
    await deliver(resolve(another))
    events = await eventually(lambda: resolved_links(published, another))
    assert [event.url for event in events] == [DEEZER, another]
    assert [event.link_id for event in events] == [link_id(DEEZER), link_id(another)]
    assert {event.card.title for event in events} == {"Copper Sky"}
    assert len({event.card.track_id for event in events}) == 1
    assert len(providers.calls) == 1


async def test_a_link_that_leads_to_nothing_is_told_with_its_reason(
    client: Any, deliver: Callable[..., Any], providers: Any, published: Any
) -> None:
    error = {"error": {"type": "DataException", "code": 800}}
    providers.says("api.deezer.com/track/3135556", error)
    unsupported, refused = "https://www.youtube.com/feed/x", "http://127.0.0.1/"
    for url in (DEEZER, unsupported, refused):
        await deliver(resolve(url))

    async def reasons() -> dict[str, str] | None:
        told = {
            event.url: event.reason_code
            for event in await published()
            if isinstance(event, LinkUnresolvable)
        }
        return told if len(told) == 3 else None

    assert await eventually(reasons) == {
        DEEZER: "not_found",
        unsupported: "unsupported",
        refused: "refused",
    }


async def test_shared_and_liked_tracks_are_ranked(
    client: Any, db: Database, deliver: Callable[..., Any], providers: Any, get: Any, clock: Any
) -> None:
    providers.has_deezer_track()
    message = MessageSent(
        room_id=UUID(int=1),
        message_id=UUID(int=2),
        author_id=UUID(int=3),
        seq=1,
        links=[SharedLink(link_id=link_id(DEEZER), url=DEEZER)],
        has_text=True,
        sent_at=clock(),
    )
    liked = ReactionAdded(
        room_id=UUID(int=1),
        message_id=UUID(int=2),
        user_id=UUID(int=4),
        emoji="🔥",
        seq=2,
        added_at=clock(),
    )
    for event in (message, liked, resolve(DEEZER)):
        await deliver(event, times=2)

    async def settled() -> bool:
        shares = await inbox_count(db, "track-unfurl.shares")
        return shares == 2 and await inbox_count(db, "track-unfurl.links") == 1

    await eventually(settled)
    items = (await get("/tracks/popular")).json()["items"]
    assert [(item["rank"], item["track"]["title"]) for item in items] == [(1, "Copper Sky")]
    assert items[0]["score"] == 1.1
