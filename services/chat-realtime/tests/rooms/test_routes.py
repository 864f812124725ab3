"""Rooms and memberships over HTTP."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from conftest import Chat


async def test_who_makes_a_room_owns_it(chat: "Chat") -> None:
    ann = chat.person()
    body = {"name": "  Night shift ", "description": "quiet"}
    room = await ann.ok("POST", "/chat/rooms", json=body)
    assert (room["name"], room["membership"]["role"]) == ("Night shift", "owner")
    assert [event["t"] for event in await ann.events(room["id"])] == [
        "room.created",
        "member.joined",
    ]


async def test_joining_and_leaving_are_idempotent_and_in_the_log(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room()
    for _ in range(2):
        joined = await ben.ok("POST", f"/chat/rooms/{room}/join")
    assert joined["membership"]["role"] == "member"
    for _ in range(2):
        await ben.ok("POST", f"/chat/rooms/{room}/leave")
    events = await ann.events(room, after_seq=2)
    assert [event["t"] for event in events] == ["member.joined", "member.left"]
    assert events[1]["acl"] == events[0]["acl"] + 1


async def test_the_owner_cannot_leave(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    answer = await ann.ask("POST", f"/chat/rooms/{room}/leave")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_lists_show_public_rooms_and_the_callers_own(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    public = str(await ann.room(name="public"))
    private = str(await ann.room(name="private", is_private=True))

    async def listed(person: Any, query: str = "") -> set[str]:
        found: set[str] = set()
        cursor = ""
        while True:
            page = await person.ok("GET", f"/chat/rooms?limit=100{query}{cursor}")
            found |= {item["id"] for item in page["items"]}
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    assert {public, private} <= await listed(ann)
    assert public in await listed(ben)
    assert private not in await listed(ben)
    assert await listed(ben, "&mine=true") == set()


async def test_members_are_listed_with_their_cards(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    page = await ann.ok("GET", f"/chat/rooms/{room}/members")
    assert {item["user_id"]: item["role"] for item in page["items"]} == {
        str(ann.id): "owner",
        str(ben.id): "member",
    }
    assert page["items"][0]["person"]["user_id"] == page["items"][0]["user_id"]


async def test_a_private_room_is_invisible_to_everyone_else(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    message = await ann.post(room, "private")
    one = f"/chat/rooms/{room}"
    for method, path, body in (
        ("GET", one, None),
        ("PATCH", one, {"name": "mine"}),
        ("POST", f"{one}/join", None),
        ("POST", f"{one}/leave", None),
        ("GET", f"{one}/members", None),
        ("POST", f"{one}/members", {"user_id": str(ben.id)}),
        ("PATCH", f"{one}/members/{ann.id}", {"role": "member"}),
        ("GET", f"{one}/messages", None),
        ("POST", f"{one}/messages", {"text": "x"}),
        ("POST", f"{one}/messages", {"text": "x", "parent_id": message["id"]}),
        ("PATCH", f"{one}/messages/{message['id']}", {"text": "x"}),
        ("DELETE", f"{one}/messages/{message['id']}", None),
        ("GET", f"{one}/messages/{message['id']}/replies", None),
        ("PUT", f"{one}/messages/{message['id']}/reactions/🔥", None),
        ("GET", f"{one}/events", None),
        ("GET", f"{one}/moderation", None),
        ("POST", f"{one}/moderation", {"kind": "kick", "reason": "x", "user_id": str(ann.id)}),
    ):
        answer = await ben.ask(method, path, **({"json": body} if body else {}))
        nothing = await ben.ask(
            method, path.replace(str(room), str(uuid4())), **({"json": body} if body else {})
        )
        assert answer.status_code == nothing.status_code == 404, path
        assert answer.json()["detail"] == nothing.json()["detail"], path


async def test_strangers_do_not_read_public_rooms_either(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room()
    assert (await ben.ask("GET", f"/chat/rooms/{room}")).status_code == 200
    for path in ("messages", "events", "members"):
        answer = await ben.ask("GET", f"/chat/rooms/{room}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_member")


async def test_an_archived_room_is_read_and_not_changed(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    changed = await ann.ok("PATCH", f"/chat/rooms/{room}", json={"archived": True})
    assert changed["archived"] is True
    answer = await ann.ask("POST", f"/chat/rooms/{room}/messages", json={"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "room_locked")
    assert (await ann.events(room))[-1]["d"] == {"archived": True}


async def test_only_the_owner_makes_moderators_and_archives(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    assert (await ben.ask("PATCH", f"/chat/rooms/{room}", json={"name": "x"})).status_code == 403
    await ann.ok("PATCH", f"/chat/rooms/{room}/members/{ben.id}", json={"role": "moderator"})
    await ben.ok("PATCH", f"/chat/rooms/{room}", json={"name": "better"})
    answer = await ben.ask("PATCH", f"/chat/rooms/{room}", json={"archived": True})
    assert answer.status_code == 403


async def test_a_change_that_changes_nothing_is_no_event(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room(name="same")
    before = len(await ann.events(room))
    await ann.ok("PATCH", f"/chat/rooms/{room}", json={"name": "same"})
    assert len(await ann.events(room)) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 81},
        {"name": "x", "description": "x" * 501},
        {"name": "x", "created_by": str(uuid4())},
        {"name": "x", "last_seq": 9},
        {"name": 7},
    ],
)
async def test_a_room_that_is_none_is_refused(chat: "Chat", body: dict[str, Any]) -> None:
    answer = await chat.person().ask("POST", "/chat/rooms", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


@pytest.mark.parametrize("room", ["*", "%3E", "room.%3E", "a.b", "%20"])
async def test_attack_105_what_is_no_id_of_a_room_is_no_address(chat: "Chat", room: str) -> None:
    for path in (f"/chat/rooms/{room}", f"/chat/rooms/{room}/messages"):
        assert (await chat.person().ask("GET", path)).status_code == 404


@pytest.mark.parametrize("cursor", ["x", "1", "'; --", "../"])
async def test_attack_062_a_forged_cursor_is_refused(chat: "Chat", cursor: str) -> None:
    answer = await chat.person().ask("GET", "/chat/rooms", params={"cursor": cursor})
    assert answer.status_code == 400
