"""Pins: a moderator's bookmarks of a room, seen by all of it."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from chat_realtime.pins import domain, operations

if TYPE_CHECKING:
    from conftest import Chat, Person


async def pinned(person: "Person", room: UUID) -> list[str]:
    page = await person.ok("GET", f"/chat/rooms/{room}/pins")
    assert all(message["pinned"] for message in page["items"])
    return [message["id"] for message in page["items"]]


async def test_a_pin_is_a_set_newest_first_and_told_to_the_room(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    first, second = await ann.post(room), await ben.post(room)
    async with ann.socket(room) as anns, ben.socket(room) as bens:
        path = f"/chat/rooms/{room}/pins"
        assert (await ann.ok("PUT", f"{path}/{first['id']}"))["seq"] == second["seq"] + 1
        assert (await ann.ok("PUT", f"{path}/{first['id']}"))["seq"] is None
        await anns.ask("pin.add", room, message_id=second["id"])
        told = await bens.until(op="ev", t="message.pinned")
        assert (told["d"]["message_id"], told["d"]["by"]) == (first["id"], str(ann.id))
        assert await pinned(ben, room) == [second["id"], first["id"]]
        await anns.ask("pin.remove", room, message_id=second["id"])
        await bens.until(op="ev", t="message.unpinned")
        assert (await ann.ok("DELETE", f"{path}/{second['id']}"))["seq"] is None
        assert await pinned(ben, room) == [first["id"]]


async def test_a_deleted_message_is_pinned_no_more(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    message = await ann.post(room)
    await ann.ok("PUT", f"/chat/rooms/{room}/pins/{message['id']}")
    await ann.ok("DELETE", f"/chat/rooms/{room}/messages/{message['id']}")
    assert await pinned(ann, room) == []
    answer = await ann.ask("PUT", f"/chat/rooms/{room}/pins/{message['id']}")
    assert answer.status_code == 404


async def test_only_moderators_pin_and_only_what_their_room_said(chat: "Chat") -> None:
    ann, ben, eve = chat.person(), chat.person(), chat.person()
    room, other = await ann.room(ben, is_private=True), await ben.room()
    own, foreign = await ben.post(room), await ben.post(other)
    for person, message, status in (
        (ben, own["id"], 403),
        (eve, own["id"], 404),
        (ann, foreign["id"], 404),
        (ann, str(uuid4()), 404),
    ):
        for method in ("PUT", "DELETE"):
            answer = await person.ask(method, f"/chat/rooms/{room}/pins/{message}")
            expected = 200 if (person is ann and method == "DELETE") else status
            assert answer.status_code == expected, (method, message)
    assert (await eve.ask("GET", f"/chat/rooms/{room}/pins")).status_code == 404
    async with ben.socket(room) as bens:
        assert (await bens.refused("pin.add", room, message_id=own["id"]))["code"] == "forbidden"


async def test_a_room_has_a_limit_of_pins(chat: "Chat", monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (domain, operations):
        monkeypatch.setattr(module, "PINS_MAX", 1)
    ann = chat.person()
    room = await ann.room()
    kept, refused = [(await ann.post(room))["id"] for _ in range(2)]
    await ann.ok("PUT", f"/chat/rooms/{room}/pins/{kept}")
    answer: Any = await ann.ask("PUT", f"/chat/rooms/{room}/pins/{refused}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await pinned(ann, room) == [kept]
