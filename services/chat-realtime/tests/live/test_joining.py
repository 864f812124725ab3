"""The hand-over from log to live, with something happening exactly in between."""

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from chat_realtime.live import joining
from chat_realtime.live.client import Client
from chat_realtime.live.joining import Hall, look
from chat_realtime.live.together import Together
from chat_realtime.rooms.domain import NotMember
from seda_contracts.realtime import Cursor
from seda_runtime.clock import utc_now

if TYPE_CHECKING:
    from conftest import Chat, Person


def hall_of(chat: "Chat") -> Hall:
    return Hall(
        db=chat.live.db,
        hub=chat.live.hub,
        feeds=chat.live.feeds,
        board=chat.live.board,
        looks=Together(partial(look, chat.live.db)),
        now=utc_now,
    )


def client_of(chat: "Chat", person: "Person") -> Client:
    (client,) = [c for c in chat.live.edge.clients() if c.user_id == person.id]
    return client


async def finish(chat: "Chat", client: Client, begun: Any) -> None:
    assert client.principal is not None
    await joining.finish(hall_of(chat), client.principal, begun, client.connection, client)


async def begin(chat: "Chat", client: Client, room: UUID, cursor: Cursor | None) -> Any:
    assert client.principal is not None
    return await joining.begin(hall_of(chat), client.principal, room, cursor)


async def test_what_the_room_said_since_the_log_was_read_comes_before_live(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns, ben.socket() as bens:
        client = client_of(chat, ben)
        begun = await begin(chat, client, room, None)
        between = await anns.ask("msg.send", room, cid="c1", text="between")
        await anns.until(op="ev", seq=between["seq"])
        await finish(chat, client, begun)
        await bens.until(op="ev", seq=between["seq"])
        assert (await bens.until(op="live"))["head"] == between["seq"]
        after = await anns.ask("msg.send", room, cid="c2", text="after")
        await bens.until(op="ev", seq=after["seq"])
        assert [e["seq"] for e in bens.events(room)] == [between["seq"], after["seq"]]


async def test_who_is_removed_while_joining_never_listens(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns, ben.socket() as bens:
        client = client_of(chat, ben)
        begun = await begin(chat, client, room, None)
        kick = {"kind": "kick", "reason": "test", "user_id": str(ben.id)}
        await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=kick)
        await anns.until(op="ev", t="member.kicked")
        with pytest.raises(NotMember):
            await finish(chat, client, begun)
        after = await anns.ask("msg.send", room, cid="c", text="after")
        await anns.until(op="ev", seq=after["seq"])
        await bens.say("hb")
        assert (await bens.until(op="hb.ok"))["heads"] == {}
        assert bens.events(room) == []
        assert chat.live.feeds.feed(room).followers == 1


async def test_a_client_that_goes_while_it_joins_leaves_nothing_behind(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket() as anns:
        client = client_of(chat, ann)
        begun = await begin(chat, client, room, Cursor(ep="1", seq=0))
        await anns.connection.close()
        await finish(chat, client, begun)
        assert chat.live.feeds.feed(room).followers == 0
        assert chat.live.hub.rooms_of(client) == frozenset()
