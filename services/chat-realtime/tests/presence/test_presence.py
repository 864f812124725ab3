"""Presence as people see it: on two processes, on several devices, after a process died."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
from chat_realtime.presence.domain import Here
from seda_contracts.live import room_subject
from seda_testkit.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Chat, Person, Socket


def seen(socket: "Socket", room: UUID) -> dict[str, str]:
    """What a client believes: the last whole, and the changes after it."""
    people: dict[str, str] = {}
    newest = -1
    for frame in socket.heard:
        if frame.get("op") != "st" or frame["t"] != "presence" or frame["room"] != str(room):
            continue
        assert frame["rev"] >= newest, "a state went back"
        newest = frame["rev"]
        state: dict[str, Any] = frame["d"]
        if state["whole"]:
            people = {}
        for each in state["people"]:
            people[each["user_id"]] = each["status"]
        people = {who: status for who, status in people.items() if status != "offline"}
    return people


async def asked(person: "Person", room: UUID) -> dict[str, str]:
    answer = await person.ok("GET", f"/chat/rooms/{room}/presence")
    assert answer["count"] == len(answer["people"])
    return {each["user_id"]: each["status"] for each in answer["people"]}


async def test_who_comes_and_goes_is_seen_on_both_processes(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns:
        await eventually(lambda: seen(anns, room) == {str(ann.id): "online"})
        async with ben.socket(room, via=other_chat) as bens:
            both = {str(ann.id): "online", str(ben.id): "online"}
            await eventually(lambda: seen(anns, room) == both)
            await eventually(lambda: seen(bens, room) == both)
            assert await asked(ann, room) == both
        await eventually(lambda: seen(anns, room) == {str(ann.id): "online"})


async def test_devices_of_one_person_count_once_and_the_most_awake_one_wins(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with (
        ann.socket(room) as anns,
        ben.socket(room) as phone,
        ben.socket(room, via=other_chat) as desk,
    ):
        await eventually(lambda: seen(anns, room).get(str(ben.id)) == "online")
        await phone.ask("presence.set", status="idle")
        await desk.ask("presence.set", status="idle")
        await eventually(lambda: seen(anns, room).get(str(ben.id)) == "idle")
        await desk.ask("presence.set", status="online")
        await eventually(lambda: seen(anns, room).get(str(ben.id)) == "online")
        await phone.ask("presence.set", status="invisible")
        await desk.ask("presence.set", status="invisible")
        await eventually(lambda: str(ben.id) not in seen(anns, room))


async def test_a_status_nobody_knows_is_refused(chat: "Chat") -> None:
    ann = chat.person()
    async with ann.socket() as anns:
        assert (await anns.refused("presence.set", status="dancing"))["code"] == "bad_request"


async def test_who_is_kicked_is_not_there_any_more(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns, ben.socket(room) as bens:
        await eventually(lambda: str(ben.id) in seen(anns, room))
        action = {"kind": "kick", "reason": "rude", "user_id": str(ben.id)}
        await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=action)
        await bens.until(op="unsub")
        await eventually(lambda: str(ben.id) not in seen(anns, room))
        heard = len(bens.heard)
        await ann.post(room)
        await anns.until(op="ev", t="message.created")
        assert len(bens.heard) == heard


async def test_strangers_learn_nothing_of_a_private_room(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    public = await ann.room()
    for path, status in ((room, 404), (uuid4(), 404), (public, 403)):
        answer = await eve.ask("GET", f"/chat/rooms/{path}/presence")
        assert answer.status_code == status


async def test_a_room_nobody_follows_here_is_asked_of_the_others(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ben.socket(room, via=other_chat):
        assert await asked(ann, room) == {str(ben.id): "online"}


async def test_the_people_of_a_dead_process_leave_with_its_lease(
    start_chat: "Callable[..., Any]",
) -> None:
    """A process that was killed says no more: here one that never lived says its last word."""
    async with start_chat(presence_lease_seconds=0.3) as chat:
        ann = chat.person()
        room = await ann.room()
        ghost = uuid4()
        last_word = Here(node=uuid4(), rev=1, count=1, people={ghost: "online"})
        async with ann.socket(room) as anns:
            await chat.bus.publish_live(room_subject(room), msgspec.json.encode(last_word))
            await eventually(lambda: str(ghost) in seen(anns, room))
            await eventually(lambda: str(ghost) not in seen(anns, room))
            assert str(ann.id) in seen(anns, room)


async def test_who_leaves_with_a_process_that_stops_is_gone_before_its_lease_ends(
    start_chat: "Callable[..., Any]",
) -> None:
    """Also when the change of their going is still gathered: here for longer than anybody waits."""
    async with start_chat(presence_lease_seconds=300) as chat:
        ann, ben = chat.person(), chat.person()
        room = await ann.room(ben)
        async with ann.socket(room) as anns:
            async with start_chat() as leaving, ben.socket(room, via=leaving):
                await eventually(lambda: str(ben.id) in seen(anns, room))
                board = leaving.live.board
                board._options = replace(board._options, gather_seconds=300)
            await eventually(lambda: str(ben.id) not in seen(anns, room))


async def test_a_word_that_is_no_word_changes_nothing(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        await eventually(lambda: str(ann.id) in seen(anns, room))
        for nonsense in (b'{"op":"here"}', b'{"op":"here","node":7,"rev":"x"}'):
            await chat.bus.publish_live(room_subject(room), nonsense)
        await anns.ask("msg.send", room, cid=str(uuid4()), text="still here")
        assert seen(anns, room) == {str(ann.id): "online"}
