"""A card that is replaced while a message with its link is on its way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from chat_realtime.cards.operations import attach_card
from chat_realtime.log.operations import Recording
from chat_realtime.messages.operations import edit_message
from chat_realtime.messages.sending import Draft, locks_sql, send_messages
from chat_realtime.signals import Signals
from chat_realtime.tables import Table
from seda_client import RoomState
from seda_contracts.events.unfurl import TrackCard, TrackResolved, link_id
from seda_db import Database
from seda_identity import Principal
from seda_messaging import Outbox
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat

Speak = Callable[
    [Database, Recording, Principal, UUID, UUID, str], AbstractAsyncContextManager[None]
]
WAITING_FOR_A_LOCK = text(
    """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
)


def resolved(url: str, version: int) -> TrackResolved:
    card = TrackCard(
        track_id=link_id(url),
        provider="example",
        kind="track",
        canonical_url=url,
        status="ok",
        title=f"Song {version}",
    )
    return TrackResolved(
        link_id=link_id(url), url=url, card=card, card_version=version, resolved_at=utc_now()
    )


@asynccontextmanager
async def send(
    db: Database, recording: Recording, ann: Principal, room: UUID, _: UUID, words: str
) -> AsyncIterator[None]:
    draft = Draft(principal=ann, room_id=room, cid=str(uuid4()), text=words)
    async with db.begin_driver(first=locks_sql([draft])) as tx:
        await send_messages(tx, recording, [draft])
        yield


@asynccontextmanager
async def edit(
    db: Database, recording: Recording, ann: Principal, room: UUID, message: UUID, words: str
) -> AsyncIterator[None]:
    async with db.begin() as tx:
        await edit_message(tx, recording, ann, room, message, text=words)
        yield


@pytest.mark.parametrize("known_version", [0, 1])
@pytest.mark.parametrize("speak", [send, edit])
async def test_a_card_that_comes_meanwhile_reaches_the_first_message_with_its_link(
    chat: "Chat", speak: Speak, known_version: int
) -> None:
    """Whoever followed the room knows the card that history has."""
    ann, url = chat.person(), f"https://tunes.example/track/{uuid4().hex}"
    room = await ann.room()
    earlier = await ann.post(room, "no link yet")
    recording = Recording(
        outbox=Outbox(Table.metadata, service="chat-realtime"),
        signals=Signals(chat.bus),
        now=utc_now,
    )

    async def attach(version: int) -> None:
        async with chat.db.begin() as tx:
            await attach_card(tx, recording, resolved(url, version))

    async def is_waiting() -> bool:
        async with chat.db.read() as tx:
            return attaching.done() or bool(await tx.scalar(WAITING_FOR_A_LOCK))

    if known_version:
        await attach(known_version)
    place, words = (room, UUID(earlier["id"])), f"listen: {url}"
    async with speak(chat.db, recording, Principal(user_id=ann.id), *place, words):
        attaching = asyncio.create_task(attach(known_version + 1))
        await eventually(is_waiting)
    await attaching
    told = RoomState(ann.id, room)
    for event in await ann.events(room):
        told.apply(event)
    fresh = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert [item["cards"] for item in told.history()] == [item["cards"] for item in fresh]
    assert fresh[0]["cards"][0]["card"]["title"] == f"Song {known_version + 1}"
