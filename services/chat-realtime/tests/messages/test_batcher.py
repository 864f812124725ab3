"""Messages that share a commit: each keeps its own answer, its place and its fate."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from chat_realtime.live.failures import failure_of
from chat_realtime.log.domain import SIGNAL_BYTES_MAX, frames_of, signals_of
from chat_realtime.log.operations import Recording
from chat_realtime.messages import batcher
from chat_realtime.messages.batcher import BATCH_MAX, WAITING_MAX, Batcher
from chat_realtime.messages.domain import Busy, CidConflict, MessageNotFound, Stopping
from chat_realtime.messages.sending import Draft, Sent, locks_sql, send_messages
from chat_realtime.moderation.operations import Act, act
from chat_realtime.rooms.domain import Muted, NotMember, RoomLocked, RoomNotFound
from chat_realtime.rooms.operations import create_room, join_room, leave_room, update_room
from chat_realtime.rooms.store import lock_room
from chat_realtime.signals import Signals
from chat_realtime.tables import Table
from seda_contracts.live import room_subject
from seda_contracts.realtime import EventFrame
from seda_db import Database, DatabaseUnavailable
from seda_identity import Principal
from seda_messaging import Bus, Outbox
from seda_runtime.clock import utc_now
from seda_testkit.databases import DatabaseFactory, ServiceDatabase
from seda_testkit.eventually import eventually
from seda_testkit.postgres import EmbeddedPostgres
from sqlalchemy import text as sql

if TYPE_CHECKING:
    from conftest import Chat
    from seda_testkit.nats import EmbeddedNats

Outcomes = list[Sent | BaseException]
WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
WAITING_STATEMENT = """
SELECT query FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
SOONER_THAN_A_DEADLOCK = "SET LOCAL lock_timeout = '500ms'"
"""Is found: PostgreSQL looks for one after a second, and its victim would only try again."""


class Sending:
    """A batcher beside its database, and who sends through it."""

    def __init__(self, database_url: str, bus: Bus) -> None:
        self.db = Database(database_url, pool_size=4)
        self.signals = Signals(bus)
        self.recording = Recording(
            outbox=Outbox(Table.metadata, service="chat-realtime"),
            signals=self.signals,
            now=utc_now,
        )
        self.batcher = Batcher(self.db, self.recording)

    async def room(self, *members: Principal) -> UUID:
        """A room; the first of its members owns it."""
        async with self.db.begin() as tx:
            room = await create_room(tx, self.recording, members[0], name="lobby")
            for member in members[1:]:
                await join_room(tx, self.recording, member, room.id)
        return room.id

    async def all(self, drafts: Sequence[Draft]) -> Outcomes:
        """All at once."""
        sends = (self.batcher.send(draft) for draft in drafts)
        return await asyncio.gather(*sends, return_exceptions=True)

    @asynccontextmanager
    async def held(self, room_id: UUID) -> AsyncIterator[None]:
        """The room is locked by somebody else, so a batch with a message for it stays under way."""
        async with self.db.begin() as tx:
            await lock_room(tx, room_id)
            yield

    async def is_under_way(self) -> bool:
        """Does a batch wait for a room?"""
        return await self.ask(WAITING_FOR_A_LOCK) > 0

    async def log(self, room_id: UUID) -> list[tuple[int, UUID]]:
        """Number and message of every message the log of the room tells of."""
        query = sql(
            "SELECT seq, message_id FROM chat.room_log "
            "WHERE room_id = :room_id AND type = 'message.created' ORDER BY seq"
        )
        async with self.db.read() as tx:
            rows = await tx.execute(query, {"room_id": room_id})
            return [(row.seq, row.message_id) for row in rows]

    async def ask(self, query: str, **parameters: Any) -> Any:
        async with self.db.read() as tx:
            return await tx.scalar(sql(query), parameters)


@asynccontextmanager
async def sending_to(database_url: str, bus: Bus) -> AsyncIterator[Sending]:
    sending = Sending(database_url, bus)
    try:
        async with sending.batcher.run():
            yield sending
    finally:
        await sending.db.close()


@pytest.fixture
async def bus(broker: "EmbeddedNats") -> AsyncIterator[Bus]:
    bus = Bus(broker.url, service="chat-realtime")
    await bus.open()
    yield bus
    await bus.close()


@pytest.fixture
async def sending(database: ServiceDatabase, bus: Bus) -> AsyncIterator[Sending]:
    async with sending_to(database.app_url, bus) as running:
        yield running


def somebody() -> Principal:
    return Principal(user_id=uuid4())


def draft(author: Principal, room_id: UUID, text: str = "hello", **more: Any) -> Draft:
    return Draft(principal=author, room_id=room_id, text=text, **({"cid": uuid4().hex} | more))


def kept(outcomes: Outcomes) -> list[Sent]:
    """All of them, none refused."""
    assert all(isinstance(outcome, Sent) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Sent)]


async def test_what_arrives_during_a_commit_shares_the_next_one(sending: Sending) -> None:
    ann = somebody()
    room, other = await sending.room(ann), await sending.room(ann)
    async with sending.held(room):
        first = asyncio.create_task(sending.batcher.send(draft(ann, room)))
        await eventually(sending.is_under_way)
        rest = asyncio.create_task(
            sending.all([draft(ann, (room, other)[n % 2]) for n in range(BATCH_MAX)])
        )
        await asyncio.wait({rest}, timeout=0.05)
        assert not first.done()
    sent = [await first, *kept(await rest)]
    transactions = "SELECT count(DISTINCT xmin::text) FROM chat.message WHERE room_id = ANY(:rooms)"
    assert await sending.ask(transactions, rooms=[room, other]) == 2
    for each in (room, other):
        told = [(one.seq, one.message_id) for one in sent if one.room_id == each]
        assert await sending.log(each) == told
        assert [seq for seq, _ in told] == list(range(told[0][0], told[0][0] + len(told)))


async def test_live_signals_leave_after_the_commit_in_the_order_of_the_room(
    sending: Sending, bus: Bus
) -> None:
    ann = somebody()
    room = await sending.room(ann)
    heard: list[int] = []
    signals: list[bytes] = []

    def hear(_: str, payload: bytes) -> None:
        signals.append(payload)
        frames = (msgspec.json.decode(line, type=EventFrame) for line in frames_of(payload))
        heard.extend(frame.seq for frame in frames if frame.t == "message.created")

    await bus.subscribe_live(room_subject(room), hear)
    await bus.flush()
    async with sending.signals.run():
        async with sending.held(room):
            sends = [asyncio.create_task(sending.batcher.send(draft(ann, room))) for _ in range(40)]
            await eventually(sending.is_under_way)
            assert heard == []
        sent = await asyncio.gather(*sends)
        await eventually(lambda: len(heard) == 40)
    assert heard == [one.seq for one in sent]
    assert len(signals) < len(heard), "what was committed together is told together"


def test_signals_stay_small_and_keep_every_frame_in_its_order() -> None:
    frames = [b'{"n":%d,"text":"%b\\n"}' % (n, b"x" * n * 997) for n in range(60)]
    frames.append(b'{"text":"%b"}' % (b"y" * SIGNAL_BYTES_MAX))
    signals = list(signals_of(frames))
    assert [line for signal in signals for line in frames_of(signal)] == frames
    assert all(len(signal) <= SIGNAL_BYTES_MAX + 1 for signal in signals[:-1])
    assert len(signals) < 40
    assert list(signals_of([])) == []


async def test_copies_of_one_send_in_one_batch_are_one_message(sending: Sending) -> None:
    ann, ben = somebody(), somebody()
    room, other = await sending.room(ann, ben), await sending.room(ann)
    first, again, changed, elsewhere, bens = await sending.all(
        [
            draft(ann, room, "once", cid="c"),
            draft(ann, room, "once", cid="c"),
            draft(ann, room, "twice", cid="c"),
            draft(ann, other, "once", cid="c"),
            draft(ben, room, "once", cid="c"),
        ]
    )
    assert isinstance(first, Sent)
    assert isinstance(bens, Sent)
    assert again == msgspec.structs.replace(first, dup=True)
    assert isinstance(changed, CidConflict)
    assert isinstance(elsewhere, CidConflict)
    assert [first.dup, bens.dup] == [False, False]
    assert await sending.log(room) == [
        (first.seq, first.message_id),
        (first.seq + 1, bens.message_id),
    ]
    assert await sending.log(other) == []


async def test_a_refused_message_is_nothing_to_its_neighbours(sending: Sending) -> None:
    ann, ben, eve = somebody(), somebody(), somebody()
    room, archived, foreign = (
        await sending.room(ann, ben),
        await sending.room(ann),
        await sending.room(eve),
    )
    secret = await sending.batcher.send(draft(eve, foreign))
    early = draft(ben, room, cid="early")
    bens = await sending.batcher.send(early)
    wanted = Act(
        kind="mute",
        user_id=ben.require_user(),
        reason="noise",
        until=utc_now() + timedelta(minutes=1),
    )
    async with sending.db.begin() as tx:
        await act(tx, sending.recording, ann, room, wanted)
        await update_room(tx, sending.recording, ann, archived, archived=True)
    head = await sending.ask("SELECT last_seq FROM chat.room WHERE id = :room", room=room)
    outcomes = await sending.all(
        [
            draft(ann, room),
            draft(eve, room, cid="e"),
            draft(ben, room),
            early,
            draft(ann, archived),
            draft(ann, uuid4()),
            draft(ann, room, parent_id=secret.message_id),
            draft(eve, foreign, cid="e"),
            draft(ann, room, parent_id=bens.message_id),
        ]
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [
        Sent, NotMember, Muted, Sent, RoomLocked, RoomNotFound, MessageNotFound, Sent, Sent,
    ]  # fmt: skip
    assert outcomes[3] == msgspec.structs.replace(bens, dup=True)
    log = await sending.log(room)
    assert [seq for seq, _ in log[1:]] == [head + 1, head + 2]


async def test_a_poisoned_message_fails_alone(sending: Sending, database: ServiceDatabase) -> None:
    ann = somebody()
    room = await sending.room(ann)
    await administer(
        database, "ALTER TABLE chat.message ADD CONSTRAINT bad CHECK (text <> 'poison')"
    )
    try:
        drafts = [draft(ann, room, "poison" if n == 33 else f"m{n}") for n in range(51)]
        outcomes = await sending.all(drafts)
    finally:
        await administer(database, "ALTER TABLE chat.message DROP CONSTRAINT bad")
    (bad,) = [outcome for outcome in outcomes if not isinstance(outcome, Sent)]
    assert outcomes[33] is bad
    assert failure_of(bad).code == "internal"
    assert "poison" not in str(bad)
    good = kept([outcome for outcome in outcomes if outcome is not bad])
    assert await sending.log(room) == [(one.seq, one.message_id) for one in good]
    assert good[-1].seq - good[0].seq == 49
    events = "SELECT count(*) FROM chat.outbox WHERE subject = :subject"
    subject = f"seda.evt.chat.message.sent.v1.{room}"
    assert await sending.ask(events, subject=subject) == 50


async def test_a_batch_that_waits_for_a_room_holds_none_with_a_higher_id(sending: Sending) -> None:
    ann = somebody()
    low, high = sorted([await sending.room(ann), await sending.room(ann)])
    async with sending.db.begin() as tx:
        await lock_room(tx, low)
        sends = asyncio.create_task(sending.all([draft(ann, high), draft(ann, low)]))
        await eventually(sending.is_under_way)
        await tx.execute(sql(SOONER_THAN_A_DEADLOCK))
        await lock_room(tx, high)
    kept(await sends)


async def test_who_is_gone_when_a_batch_has_waited_for_the_room_says_nothing_in_it(
    sending: Sending,
) -> None:
    """What is judged is looked at behind the lock, not as it was when the batch began to wait."""
    ann, bob = somebody(), somebody()
    room = await sending.room(ann, bob)
    async with sending.db.begin() as tx:
        await leave_room(tx, sending.recording, bob, room)
        sends = asyncio.create_task(sending.all([draft(bob, room), draft(ann, room)]))
        await eventually(sending.is_under_way)
        assert (await sending.ask(WAITING_STATEMENT)).startswith("BEGIN; "), "it looked before"
    outcomes = await sends
    assert [type(outcome) for outcome in outcomes] == [NotMember, Sent]
    assert len(await sending.log(room)) == 1


async def test_a_batch_that_waits_for_a_client_id_holds_none_with_a_higher_one(
    sending: Sending,
) -> None:
    ann = somebody()
    room, other = await sending.room(ann), await sending.room(ann)
    low, high = "a", "b"
    first, last = draft(ann, other, cid=low), draft(ann, other, cid=high)
    async with sending.db.begin_driver(first=locks_sql([first, last])) as tx:
        await send_messages(tx, sending.recording, [first])
        sends = asyncio.create_task(
            sending.all([draft(ann, room, cid=high), draft(ann, room, cid=low), draft(ann, room)])
        )
        await eventually(sending.is_under_way)
        await tx.scalar(SOONER_THAN_A_DEADLOCK)
        await send_messages(tx, sending.recording, [last])
    outcomes = await sends
    assert [type(outcome) for outcome in outcomes] == [CidConflict, CidConflict, Sent]
    assert len(await sending.log(other)) == 2
    assert len(await sending.log(room)) == 1


async def test_two_processes_in_opposite_orders_keep_every_number_and_give_a_cid_to_one_room(
    sending: Sending, database: ServiceDatabase, bus: Bus
) -> None:
    people = [somebody() for _ in range(4)]
    rooms = [await sending.room(*people) for _ in range(8)]
    async with sending_to(database.app_url, bus) as other:
        for turn in range(10):
            cids = [f"{turn}-{n}" for n in range(16)]
            here = [draft(people[n % 4], rooms[n % 8], cid=cid) for n, cid in enumerate(cids)]
            there = [
                draft(one.principal, rooms[7 - n % 8], cid=one.cid) for n, one in enumerate(here)
            ]
            outcomes = await asyncio.wait_for(
                asyncio.gather(sending.all(here), other.all(there[::-1])), 30
            )
            mine, theirs = outcomes[0], outcomes[1][::-1]
            for pair in zip(mine, theirs, strict=True):
                assert sorted(type(one).__name__ for one in pair) == ["CidConflict", "Sent"]
        bulk = [draft(people[n % 4], rooms[n % 8]) for n in range(400)]
        halves = await asyncio.gather(sending.all(bulk[:200]), other.all(bulk[:199:-1]))
        kept([*halves[0], *halves[1]])
    for room in rooms:
        numbers = [seq for seq, _ in await sending.log(room)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_a_message_too_many_is_told_to_come_again(sending: Sending) -> None:
    ann = somebody()
    room = await sending.room(ann)
    async with sending.held(room):
        first = asyncio.create_task(sending.batcher.send(draft(ann, room)))
        await eventually(sending.is_under_way)
        waiting = [
            asyncio.create_task(sending.batcher.send(draft(ann, room))) for _ in range(WAITING_MAX)
        ]
        await asyncio.wait(waiting, timeout=0)
        with pytest.raises(Busy):
            await sending.batcher.send(draft(ann, room))
    kept(await asyncio.gather(first, *waiting))
    assert len(await sending.log(room)) == 1 + WAITING_MAX


async def test_both_edges_tell_a_busy_process_as_something_to_repeat(
    chat: "Chat", monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = chat.person()
    room = await ann.room()
    path = f"/chat/rooms/{room}/messages"
    async with ann.socket(room) as anns:
        with monkeypatch.context() as nothing_may_wait:
            nothing_may_wait.setattr(batcher, "WAITING_MAX", 0)
            answer = await ann.ask("POST", path, json={"text": "x"})
            refusal = await anns.refused("msg.send", room, cid="c", text="x")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["Retry-After"] == "1"
        assert (refusal["code"], refusal["retry"]) == ("unavailable", "later")
        assert refusal["retry_ms"] == 1000
        assert (await anns.ask("msg.send", room, cid="c", text="x"))["dup"] is False


async def test_who_hangs_up_takes_nobody_with_them_and_loses_nothing(sending: Sending) -> None:
    ann = somebody()
    room = await sending.room(ann)
    hasty = draft(ann, room, "taken")
    async with sending.held(room):
        taken = asyncio.create_task(sending.batcher.send(hasty))
        neighbour = asyncio.create_task(sending.batcher.send(draft(ann, room)))
        await eventually(sending.is_under_way)
        unborn = asyncio.create_task(sending.batcher.send(draft(ann, room, "never taken")))
        last = asyncio.create_task(sending.batcher.send(draft(ann, room)))
        await asyncio.wait({unborn, last}, timeout=0)
        taken.cancel()
        unborn.cancel()
        await asyncio.wait({taken, unborn})
    sent = [await neighbour, await last]
    assert (await sending.batcher.send(hasty)).dup is True
    log = await sending.log(room)
    assert [message for _, message in log[1:]] == [one.message_id for one in sent]
    texts = "SELECT count(*) FROM chat.message WHERE room_id = :room AND text = 'never taken'"
    assert await sending.ask(texts, room=room) == 0


async def test_a_process_that_stops_answers_everybody(
    sending: Sending, database: ServiceDatabase, bus: Bus
) -> None:
    ann = somebody()
    room = await sending.room(ann)
    async with AsyncExitStack() as stopping:
        other = await stopping.enter_async_context(sending_to(database.app_url, bus))
        async with sending.held(room):
            taken = asyncio.create_task(other.batcher.send(draft(ann, room)))
            await eventually(sending.is_under_way)
            waiting = asyncio.create_task(other.batcher.send(draft(ann, room)))
            await asyncio.wait({waiting}, timeout=0)
            stopped = asyncio.create_task(stopping.aclose())
            with pytest.raises(Stopping):
                await waiting
            assert not stopped.done()
            with pytest.raises(Stopping):
                await other.batcher.send(draft(ann, room))
        sent = await taken
        await stopped
    assert await sending.log(room) == [(sent.seq, sent.message_id)]
    assert failure_of(Stopping()).retry == "later"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
async def test_when_the_database_dies_everybody_may_send_again_and_nothing_is_there_twice(
    ending: signal.Signals, bus: Bus, tmp_path: Path
) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", durable=True) as server:
        database = DatabaseFactory(server).clone("chat_realtime", "chat")
        async with sending_to(database.app_url, bus) as sending:
            ann = somebody()
            room, other = await sending.room(ann), await sending.room(ann)
            before = await sending.batcher.send(draft(ann, room))
            drafts = [draft(ann, (room, other)[n % 2]) for n in range(60)]
            with pytest.raises(DatabaseUnavailable):
                async with sending.held(room):
                    sends = asyncio.create_task(sending.all(drafts))
                    await eventually(sending.is_under_way)
                    assert server.pid is not None
                    os.kill(server.pid, ending)
                    outcomes = await asyncio.wait_for(sends, 20)
            assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
            assert failure_of(DatabaseUnavailable()).retry == "later"
            await eventually(lambda: not server.is_running())
            server.start()
            await eventually(sending.db.ping)
            again = kept(await sending.all(drafts))
            for each in (room, other):
                told = [(one.seq, one.message_id) for one in again if one.room_id == each]
                if each == room:
                    told.insert(0, (before.seq, before.message_id))
                assert await sending.log(each) == told


@pytest.mark.parametrize("seed", range(8))
async def test_any_crowd_gets_the_answers_that_one_after_the_other_would(
    sending: Sending, seed: int
) -> None:
    """Against a plain model: a client id is what was first accepted under it."""
    choose = random.Random(seed)
    people = [somebody() for _ in range(3)]
    rooms = [await sending.room(*people[: 2 + n % 2]) for n in range(3)]
    numbers = {room: await sending.ask(LAST_SEQ, room=room) for room in rooms}
    first: dict[tuple[Principal, str], tuple[UUID, str, int]] = {}
    expected: list[Any] = []
    drafts = []
    for _ in range(120):
        author, room = choose.choice(people), choose.choice(rooms)
        cid, text = f"{seed}-{choose.randrange(30)}", choose.choice(("a", "b"))
        drafts.append(draft(author, room, text, cid=cid))
        earlier = first.get((author, cid))
        if author is people[2] and room != rooms[1]:
            expected.append(NotMember)
        elif earlier is None:
            numbers[room] += 1
            first[author, cid] = (room, text, numbers[room])
            expected.append((room, numbers[room], False))
        elif earlier[:2] == (room, text):
            expected.append((room, earlier[2], True))
        else:
            expected.append(CidConflict)
    outcomes = await sending.all(drafts)
    assert [
        (one.room_id, one.seq, one.dup) if isinstance(one, Sent) else type(one) for one in outcomes
    ] == expected


LAST_SEQ = "SELECT last_seq FROM chat.room WHERE id = :room"


async def administer(database: ServiceDatabase, statement: str) -> None:
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
