"""What clients saw, checked against the log: no loss, no repeat, one order, on two processes.

Clients talk, edit, delete and react; they drop their sockets and resume on either process by their
own cursor, while some live signals get lost. The seed of a failing run is in its message.
"""

import asyncio
import random
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person

CLIENTS = 5
ACTS_PER_CLIENT = 25


class View:
    """One client's memory of a room: its cursor, and every event it was shown."""

    def __init__(self, person: "Person", cursor: int) -> None:
        self.person = person
        self.cursor = cursor
        self.shown: list[dict[str, Any]] = []
        self.acknowledged: list[int] = []

    def keep(self, events: list[dict[str, Any]]) -> None:
        self.shown += events
        if events:
            self.cursor = events[-1]["seq"]


async def live_for_a_while(
    view: View, room: UUID, processes: list["Chat"], chance: random.Random
) -> None:
    """Several sockets one after the other, each resuming where the last one ended."""
    acts_left = ACTS_PER_CLIENT
    while acts_left:
        resume = {str(room): {"ep": "1", "seq": view.cursor}}
        async with view.person.socket(via=chance.choice(processes), resume=resume) as socket:
            await socket.until(op="live")
            for _ in range(min(acts_left, chance.randint(1, 8))):
                acts_left -= 1
                await act(view, socket, room, chance)
            view.keep(socket.events(room))


async def act(view: View, socket: Any, room: UUID, chance: random.Random) -> None:
    own = [e for e in view.shown if e["t"] == "message.created"]
    match chance.choice(["send", "send", "react", "edit", "delete", "lose", "rest"]):
        case "send":
            reply = await socket.ask("msg.send", room, cid=str(uuid4()), text="x")
            view.acknowledged.append(reply["seq"])
        case "react" if own:
            message_id = chance.choice(own)["d"]["id"]
            await socket.say("react.add", room, message_id=message_id, emoji="🔥")
        case "edit" if own:
            message_id = chance.choice(own)["d"]["id"]
            await socket.say("msg.edit", room, message_id=message_id, text=str(uuid4()))
        case "delete" if own:
            await socket.say("msg.delete", room, message_id=chance.choice(own)["d"]["id"])
        case "lose":
            await change_without_a_signal(view.person.chat, room)
        case _:
            await asyncio.sleep(0)


async def change_without_a_signal(chat: "Chat", room: UUID) -> None:
    statement = """
        WITH head AS (
            UPDATE chat.room SET last_seq = last_seq + 1 WHERE id = :id
            RETURNING id, last_seq, acl_epoch)
        INSERT INTO chat.room_log (room_id, seq, type, acl_epoch, data, at)
        SELECT id, last_seq, 'room.updated', acl_epoch, '{}', now() FROM head
    """
    async with chat.db.begin() as tx:
        await tx.execute(text(statement), {"id": room})


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_client_saw_the_log_and_nothing_else(
    chat: "Chat", other_chat: "Chat", seed: int
) -> None:
    chance = random.Random(seed)
    owner = chat.person()
    guests = [chat.person() for _ in range(CLIENTS - 1)]
    room = await owner.room(*guests)
    start = (await owner.ok("GET", f"/chat/rooms/{room}"))["last_seq"]
    views = [View(person, start) for person in (owner, *guests)]
    await asyncio.gather(
        *(live_for_a_while(view, room, [chat, other_chat], chance) for view in views)
    )

    log: list[dict[str, Any]] = []
    while page := await owner.events(room, log[-1]["seq"] if log else start):
        log += page
    assert [entry["seq"] for entry in log] == list(range(start + 1, start + 1 + len(log)))
    acknowledged = sorted(seq for view in views for seq in view.acknowledged)
    assert len(set(acknowledged)) == len(acknowledged), f"seed {seed}"
    created = {entry["seq"] for entry in log if entry["t"] == "message.created"}
    assert set(acknowledged) == created, f"seed {seed}: acknowledged is not what is there"
    for number, view in enumerate(views):
        seen = [(event["seq"], event["t"]) for event in view.shown]
        expected = [(entry["seq"], entry["t"]) for entry in log][: len(seen)]
        assert seen == expected, f"seed {seed}, client {number}"
