"""The reference client against the real service: it comes back, misses nothing, sends once."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from seda_client import (
    Client,
    Connected,
    Happened,
    Lost,
    Options,
    Refused,
    SignedOut,
    SnapshotNeeded,
    Stopped,
    Ticket,
    Waiting,
)
from seda_client import connect as connect_client
from seda_contracts.realtime import Cursor
from seda_testkit.eventually import eventually
from websockets.exceptions import InvalidURI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Chat, Person

QUICK = Options(time_scale=0.02, reply_seconds_max=5)


class Watching:
    """A client and everything it was told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: list[Any] = []
        self.stopped: Stopped | None = None
        self.trouble: Exception | None = None
        """What the source raises instead of giving a ticket."""

    async def read(self) -> None:
        try:
            async for happening in self.client.happenings():
                self.told.append(happening)
        except Stopped as stopped:
            self.stopped = stopped

    def seqs(self, room: UUID) -> list[int]:
        return [
            each.frame["seq"]
            for each in self.told
            if isinstance(each, Happened) and each.room == room and each.frame["op"] == "ev"
        ]

    def waited_for(self, error: Exception) -> bool:
        return any(isinstance(each, Waiting) and each.source_error is error for each in self.told)

    def connections(self) -> int:
        return sum(isinstance(each, Connected) for each in self.told)


@asynccontextmanager
async def watching(person: "Person", *chats: "Chat") -> "AsyncIterator[Watching]":
    """Connects to each process in turn."""
    attempts = 0
    watcher: Watching

    async def source() -> Ticket:
        nonlocal attempts
        if watcher.trouble is not None:
            raise watcher.trouble
        chat = chats[attempts % len(chats)]
        attempts += 1
        return Ticket(address(chat), ticket=person.ticket())

    async with connect_client(source, QUICK) as client:
        watcher = Watching(client)
        reading = asyncio.create_task(watcher.read())
        try:
            yield watcher
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def address(chat: "Chat") -> str:
    return f"ws://127.0.0.1:{chat.live.listener.port}/api/v1/realtime"


def cut(chat: "Chat", how: Callable[[Any], None]) -> None:
    for connection in list(chat.live.listener.connections):
        how(connection)


async def test_nothing_is_missed_and_nothing_told_twice_over_many_cuts(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    head = (await ann.post(room))["seq"]
    async with watching(ben, chat, other_chat) as bens:
        bens.client.follow(room, Cursor("1", head))
        await eventually(lambda: bens.connections() == 1)
        for number in range(6):
            await ann.post(room, f"before {number}")
            for process in (chat, other_chat):
                cut(process, lambda connection: connection.abort())
            await ann.post(room, f"meanwhile {number}")
            await eventually(lambda wanted=number + 2: bens.connections() >= wanted)
        last = (await ann.post(room, "last"))["seq"]
        await eventually(lambda: bens.seqs(room)[-1:] == [last])
        assert bens.seqs(room) == list(range(head + 1, last + 1))


@pytest.mark.parametrize("code", [1011, 1012, 1013, 4001, 4003, 4012, 4408, 4499])
async def test_codes_that_mean_come_back_are_come_back_from(chat: "Chat", code: int) -> None:
    ann = chat.person()
    room = await ann.room()
    async with watching(ann, chat) as anns:
        anns.client.follow(room)
        await eventually(lambda: anns.client.cursor(room) is not None)
        cut(chat, lambda connection: connection.close(code, "said so"))
        missed = (await ann.post(room))["seq"]
        await eventually(lambda: anns.connections() == 2)
        await eventually(lambda: anns.seqs(room)[-1:] == [missed])
        assert anns.stopped is None


@pytest.mark.parametrize("code", [4500, 4501, 4503, 4504, 4999])
async def test_codes_that_mean_stop_end_the_client(chat: "Chat", code: int) -> None:
    ann = chat.person()
    async with watching(ann, chat) as anns:
        await eventually(lambda: anns.connections() == 1)
        cut(chat, lambda connection: connection.close(code, "said so"))
        await eventually(lambda: anns.stopped is not None)
        assert anns.stopped is not None
        assert anns.stopped.code == code
        with pytest.raises(Stopped):
            await anns.client.send(uuid4(), "too late")


@pytest.mark.parametrize(
    "error",
    [ConnectionError("no route"), KeyError("url"), RuntimeError("a fault"), InvalidURI("", "")],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_source_raises_is_told_and_come_back_from(
    chat: "Chat", error: Exception
) -> None:
    ann = chat.person()
    room = await ann.room()
    async with watching(ann, chat) as anns:
        anns.client.follow(room)
        await eventually(lambda: anns.client.cursor(room) is not None)
        anns.trouble = error
        cut(chat, lambda connection: connection.abort())
        sending = asyncio.create_task(anns.client.send(room, "when it is over"))
        await eventually(lambda: anns.waited_for(error))
        anns.trouble = None
        await sending
        assert anns.connections() == 2
        assert anns.stopped is None


async def test_a_source_that_does_not_answer_is_asked_again(chat: "Chat") -> None:
    ann = chat.person()
    hung = 0

    async def source() -> Ticket:
        nonlocal hung
        if hung < 2:
            hung += 1
            await asyncio.Event().wait()
        return Ticket(address(chat), ticket=ann.ticket())

    async with connect_client(source, Options(time_scale=0.02, ticket_seconds_max=0.05)) as client:
        await eventually(lambda: client.connection == 1)
        assert hung == 2


async def test_a_source_that_says_signed_out_ends_the_client(chat: "Chat") -> None:
    ann = chat.person()
    async with watching(ann, chat) as anns:
        await eventually(lambda: anns.connections() == 1)
        anns.trouble = SignedOut()
        cut(chat, lambda connection: connection.abort())
        await eventually(lambda: anns.stopped is not None)
        assert isinstance(anns.stopped, SignedOut)
        with pytest.raises(SignedOut):
            await anns.client.send(uuid4(), "too late")


async def test_a_source_that_is_asked_when_the_client_is_left_is_cancelled(chat: "Chat") -> None:
    del chat
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def source() -> Ticket:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError("nobody ends the wait")

    async with asyncio.timeout(5):
        async with connect_client(source, QUICK) as client:
            await asked.wait()
        assert cancelled.is_set()
        with pytest.raises(Stopped):
            await client.command("presence.set", None, {"status": "idle"})


async def test_waiting_that_nobody_reads_ends_no_client(chat: "Chat") -> None:
    """Who only sends reads nothing, however long the gateway is away."""
    ann = chat.person()
    asked = 0

    async def source() -> Ticket:
        nonlocal asked
        asked += 1
        if asked <= 10:
            raise RuntimeError("the gateway is away")
        return Ticket(address(chat), ticket=ann.ticket())

    options = Options(time_scale=0.001, happenings_waiting_max=3)
    async with connect_client(source, options) as client:
        await client.command("presence.set", None, {"status": "idle"})
        assert asked == 11


async def test_a_message_is_kept_once_however_often_the_socket_breaks(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with watching(ann, chat) as anns:
        sends = [asyncio.create_task(anns.client.send(room, f"m{n}")) for n in range(20)]
        for _ in range(4):
            await asyncio.sleep(0)
            cut(chat, lambda connection: connection.abort())
            before = anns.connections()
            await eventually(lambda before=before: anns.connections() > before)
        acknowledged = [await send for send in sends]
    kept = await ann.events(room)
    texts = [event["d"]["text"] for event in kept if event["t"] == "message.created"]
    assert sorted(texts) == sorted(f"m{n}" for n in range(20))
    assert len({each["msg"] for each in acknowledged}) == 20


async def test_a_refusal_for_good_is_told_and_the_client_lives_on(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    room, own = await ann.room(is_private=True), await eve.room()
    async with watching(eve, chat) as eves:
        with pytest.raises(Refused) as refusal:
            await eves.client.send(room, "let me in")
        assert (refusal.value.code, refusal.value.retry) == ("not_found", "never")
        eves.client.follow(room)
        await eventually(lambda: Lost(room, "not_found") in eves.told)
        assert (await eves.client.send(own, "here I may"))["dup"] is False


async def test_slow_mode_is_waited_for(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await ann.ok("PATCH", f"/chat/rooms/{room}", json={"slow_mode_seconds": 1})
    async with watching(ben, chat) as bens:
        await bens.client.send(room, "one")
        await bens.client.send(room, "two")
    texts = [e["d"].get("text") for e in await ann.events(room) if e["t"] == "message.created"]
    assert texts == ["one", "two"]


async def test_too_much_to_be_told_is_read_as_a_snapshot_and_gone_on_from_there(
    chat: "Chat",
) -> None:
    ann = chat.person()
    room = await ann.room()
    page = await ann.ok("GET", f"/chat/rooms/{room}/messages")
    async with watching(ann, chat) as anns:
        anns.client.follow(room, Cursor("another log", 7))
        await eventually(lambda: SnapshotNeeded(room) in anns.told)
        anns.client.resume_from(room, Cursor(page["ep"], page["seq"]))
        sent = (await ann.post(room))["seq"]
        await eventually(lambda: anns.seqs(room) == [sent])


async def test_a_client_that_may_not_hear_any_more_is_told(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with watching(ben, chat) as bens:
        bens.client.follow(room)
        await eventually(lambda: bens.client.cursor(room) is not None)
        kick = {"kind": "kick", "reason": "rude", "user_id": str(ben.id)}
        await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=kick)
        await eventually(lambda: Lost(room, "kicked") in bens.told)


async def test_heartbeats_tell_the_clock_of_the_server(start_chat: Callable[..., Any]) -> None:
    async with start_chat(heartbeat_seconds=0.1) as chat:
        ann = chat.person()
        async with watching(ann, chat) as anns:
            await eventually(lambda: anns.client.clock_offset_ms is not None)
            assert anns.client.clock_offset_ms is not None
            assert abs(anns.client.clock_offset_ms) < 1_000


async def test_a_process_that_stops_hands_its_clients_over(
    chat: "Chat", start_chat: Callable[..., Any]
) -> None:
    ann = chat.person()
    room = await ann.room()
    async with start_chat(drain_window_seconds=0.2) as leaving:
        watcher = watching(ann, leaving, chat)
        anns = await watcher.__aenter__()
        anns.client.follow(room)
        await eventually(lambda: anns.client.cursor(room) is not None)
    try:
        sent = (await ann.post(room))["seq"]
        await eventually(lambda: anns.seqs(room) == [sent])
        assert anns.connections() == 2
    finally:
        await watcher.__aexit__(None, None, None)
