"""Slow mode, lock, ownership, many deletions at once, and mutes everywhere."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

if TYPE_CHECKING:
    from conftest import Chat, Person


async def act(moderator: "Person", room: UUID, kind: str, **more: Any) -> Any:
    body = {"kind": kind, "reason": "because", **more}
    return await moderator.ask("POST", f"/chat/rooms/{room}/moderation", json=body)


async def says(person: "Person", room: UUID, **more: Any) -> tuple[int, str | None]:
    path = f"/chat/rooms/{room}/messages"
    answer = await person.ask("POST", path, json={"text": "x", **more})
    return answer.status_code, answer.json().get("code")


async def log(moderator: "Person", room: UUID) -> list[Any]:
    return list((await moderator.ok("GET", f"/chat/rooms/{room}/moderation"))["items"])


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def test_slow_mode_lets_members_speak_once_in_a_while_and_moderators_always(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    assert (await act(ann, room, "slow", seconds=600)).status_code == 201
    async with ben.socket(room) as bens:
        first = await bens.ask("msg.send", room, cid="one", text="one")
        refusal = await bens.refused("msg.send", room, cid="two", text="two")
        assert (refusal["code"], refusal["retry"]) == ("slow_mode", "later")
        assert 590_000 < refusal["retry_ms"] <= 600_000
        # The same send again is no second one, and an edit is none.
        assert (await bens.ask("msg.send", room, cid="one", text="one"))["dup"]
        await bens.ask("msg.edit", room, message_id=first["msg"], text="once")
    answer = await ben.ask("POST", f"/chat/rooms/{room}/messages", json={"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (429, "slow_mode")
    assert 590 < int(answer.headers["Retry-After"]) <= 600
    assert await says(ann, room) == (201, None)
    assert await says(ann, room) == (201, None)
    await act(ann, room, "slow", seconds=0)
    assert await says(ben, room) == (201, None)


async def test_two_messages_that_arrive_together_are_two_in_slow_mode_too(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await act(ann, room, "slow", seconds=600)
    async with ben.socket(room) as one, ben.socket(room) as other:
        ids = [
            await socket.say("msg.send", room, cid=str(uuid4()), text="x")
            for socket in (one, other)
        ]
        replies = [await one.reply(ids[0]), await other.reply(ids[1])]
    assert sorted("ok" in reply for reply in replies) == [False, True]


@pytest.mark.parametrize("seconds", [-1, 21_601, None])
async def test_slow_mode_has_its_bounds(chat: "Chat", seconds: int | None) -> None:
    ann = chat.person()
    room = await ann.room()
    answer = await act(ann, room, "slow", seconds=seconds)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_slow_mode")


async def test_a_locked_room_is_read_and_only_moderators_speak(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    message = await ben.post(room)
    async with ben.socket(room) as bens:
        await act(ann, room, "lock")
        told = await bens.until(op="ev", t="room.updated")
        assert told["d"] == {"locked": True}
        refusal = await bens.refused("react.add", room, message_id=message["id"], emoji="🔥")
        assert refusal["code"] == "room_locked"
    assert await says(ben, room) == (409, "room_locked")
    assert await says(ann, room) == (201, None)
    assert (await ben.ok("GET", f"/chat/rooms/{room}"))["locked"]
    await act(ann, room, "unlock")
    assert await says(ben, room) == (201, None)
    assert [each["kind"] for each in await log(ann, room)] == ["unlock", "lock"]


async def test_members_cannot_act_on_the_room(chat: "Chat") -> None:
    ann, ben, eve = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, is_private=True)
    message = await ann.post(room)
    path = f"/chat/rooms/{room}"
    bulk = {"reason": "because", "message_ids": [message["id"]]}
    for person, status in ((ben, 403), (eve, 404)):
        for kind in ("slow", "lock", "unlock"):
            assert (await act(person, room, kind, seconds=1)).status_code == status
        answer = await person.ask("POST", f"{path}/messages/delete", json=bulk)
        assert answer.status_code == status
        for change in ({"locked": True}, {"slow_mode_seconds": 5}):
            assert (await person.ask("PATCH", path, json=change)).status_code == status
    async with ben.socket(room) as bens:
        for op in ("mod.lock", "mod.slow", "mod.kick", "mod.bulk_delete", "mod.delete"):
            more = {"user_id": str(ann.id), "seconds": 1, "message_id": message["id"]}
            refusal = await bens.refused(op, room, reason="because", **more)
            assert refusal["code"] == "forbidden", op
    assert await log(ann, room) == []


async def test_many_messages_are_deleted_at_once_each_with_its_event_and_its_row(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    sent = [await ben.post(room, f"spam {number}") for number in range(3)]
    kept = await ann.post(room, "kept")
    async with ann.socket(room) as anns:
        answer = await anns.ask(
            "mod.bulk_delete", room, reason="spam", message_ids=[m["id"] for m in sent[:2]]
        )
        assert answer == {"deleted": [sent[1]["id"], sent[0]["id"]], "more": False}
        await anns.until(op="ev", t="message.deleted")
        await anns.until(op="ev", t="message.deleted")
    since = {"reason": "spam", "user_id": str(ben.id), "since": sent[0]["created_at"]}
    path = f"/chat/rooms/{room}/messages"
    gone = await ann.ok("POST", f"{path}/delete", json=since)
    assert gone == {"message_ids": [sent[2]["id"]], "more": False}
    items = (await ann.ok("GET", path))["items"]
    assert [m["id"] for m in items if m["deleted_at"] is None] == [kept["id"]]
    assert {each["message_id"] for each in await log(ann, room)} == {m["id"] for m in sent}
    nothing = await ann.ask("POST", f"{path}/delete", json={"reason": "spam"})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "nothing_to_delete")
    too_many = {"reason": "spam", "message_ids": [str(uuid4())] * 101}
    assert (await ann.ask("POST", f"{path}/delete", json=too_many)).status_code == 400


async def test_a_moderator_deletes_nothing_of_the_owner_not_even_among_others(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await ann.ok("PATCH", f"/chat/rooms/{room}/members/{ben.id}", json={"role": "moderator"})
    theirs, own = await ann.post(room), await ben.post(room)
    body = {"reason": "because", "message_ids": [own["id"], theirs["id"]]}
    answer = await ben.ask("POST", f"/chat/rooms/{room}/messages/delete", json=body)
    assert answer.status_code == 403
    items = (await ann.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert all(message["deleted_at"] is None for message in items)


async def test_the_owner_makes_somebody_else_the_owner_and_may_leave_then(chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, cat)
    path = f"/chat/rooms/{room}/members"
    async with cat.socket(room) as cats:
        await ann.ok("PATCH", f"{path}/{ben.id}", json={"role": "owner"})
        roles = [(await cats.until(op="ev", t="member.role"))["d"] for _ in range(2)]
    assert roles == [
        {"user_id": str(ben.id), "role": "owner"},
        {"user_id": str(ann.id), "role": "moderator"},
    ]
    assert (await ann.ask("PATCH", f"{path}/{cat.id}", json={"role": "owner"})).status_code == 403
    await ann.ok("POST", f"/chat/rooms/{room}/leave")
    answer = await ben.ask("PATCH", f"{path}/{ben.id}", json={"role": "member"})
    assert answer.status_code == 403
    answer = await ben.ask("PATCH", f"{path}/{uuid4()}", json={"role": "owner"})
    assert answer.status_code == 404


async def test_attack_061_who_is_muted_everywhere_speaks_nowhere_and_is_told(
    chat: "Chat", other_chat: "Chat"
) -> None:
    admin, ann, ben = chat.person("ADMIN"), chat.person(), chat.person()
    room, other = await ann.room(ben), await ben.room()
    path = f"/admin/moderation/users/{ben.id}"
    async with ben.socket(via=other_chat) as bens:
        done = await admin.ok(
            "POST", f"{path}/mute", json={"reason": "threats", "until": in_an_hour()}
        )
        assert (done["kind"], done["room_id"]) == ("mute_everywhere", None)
        assert (await bens.until(op="notice"))["code"] == "muted"
        for where in (room, other):
            assert await says(ben, where) == (403, "muted")
        await admin.ok("POST", f"{path}/unmute", json={"reason": "enough"})
        assert (await bens.until(op="notice"))["code"] == "unmuted"
    for where in (room, other):
        assert await says(ben, where) == (201, None)
    rows = (await admin.ok("GET", "/admin/moderation/actions?limit=2"))["items"]
    assert [row["kind"] for row in rows] == ["unmute_everywhere", "mute_everywhere"]


async def test_only_admins_mute_everywhere_and_not_themselves(chat: "Chat") -> None:
    admin, ann = chat.person("ADMIN"), chat.person()
    body = {"reason": "because", "until": in_an_hour()}
    path = f"/admin/moderation/users/{admin.id}/mute"
    assert (await ann.ask("POST", path, json=body)).status_code == 403
    assert (await admin.ask("POST", path, json=body)).status_code == 422
