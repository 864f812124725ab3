"""The work that is measured, the same for every program: one event in, one row in the database.

`sent` and `took` lines on standard output are how a program says what happened when, by the clock
that all processes of a machine share.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
from seda_contracts.events.chat import MessageSent, SharedLink
from seda_contracts.events.unfurl import link_id
from seda_messaging.tables import add_messaging_tables
from sqlalchemy import Column, Integer, MetaData, Table, Uuid, insert
from sqlalchemy.ext.asyncio import AsyncSession

SCHEMA = "unfurl"
CONSUMER = "track-unfurl.shares"
CONCURRENCY = 8
"""Handlers at once: what a `Subscription` has unless it says otherwise."""
POLL_SECONDS = 15.0
"""How long an idle pull request stays open at the broker, for both sides."""
ROOMS = [uuid4() for _ in range(64)]
LINK = "https://tunes.example/track/kite-paper"
metadata = MetaData(schema=SCHEMA)
add_messaging_tables(metadata)
effects = Table(
    "bench_effect",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("message_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
)


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers are, and how much to do. The one argument of a program, as JSON."""

    database_url: str
    nats_url: str
    events: int = 0
    events_per_second: float = 1.0
    says_what_it_took: bool = False


def new_event(seq: int) -> MessageSent:
    return MessageSent(
        room_id=ROOMS[seq % len(ROOMS)],
        message_id=uuid4(),
        author_id=uuid4(),
        seq=seq,
        links=[SharedLink(link_id=link_id(LINK), url=LINK)],
        has_text=True,
        sent_at=datetime.now(UTC),
    )


async def write_row(tx: AsyncSession, event: MessageSent) -> None:
    """The domain's own row: a producer's change, and a consumer's effect."""
    await tx.execute(insert(effects).values(message_id=event.message_id, seq=event.seq))


async def paced(places: Places) -> AsyncIterator[MessageSent]:
    """`events` of them, at a rate that no slow one holds up."""
    due = time.monotonic()
    for seq in range(places.events):
        yield new_event(seq)
        due += 1 / places.events_per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def say(word: str, message_id: UUID, *moments: float) -> None:
    print(word, message_id, *moments, flush=True)


def ready() -> None:
    print("ready", flush=True)


def arguments() -> tuple[str, Places]:
    """The part to play, and where."""
    return sys.argv[1], msgspec.json.decode(sys.argv[2], type=Places)
