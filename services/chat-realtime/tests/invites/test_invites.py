"""Invites: a way in that can be counted, ends, and tells nothing to who holds none."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from chat_realtime.invites import operations
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person


async def invite(person: "Person", room: UUID, **body: Any) -> Any:
    return await person.ok("POST", f"/chat/rooms/{room}/invites", json=body)


async def accepts(person: "Person", code: str) -> tuple[int, str | None]:
    answer = await person.ask("POST", "/chat/invites/accept", json={"code": code})
    return answer.status_code, answer.json().get("code")


async def test_a_code_opens_a_private_room_as_often_as_it_says(chat: "Chat") -> None:
    ann, ben, cat, dan = (chat.person() for _ in range(4))
    room = await ann.room(is_private=True, name="cellar")
    code = (await invite(ann, room, uses=2))["code"]
    shown = await ben.ok("POST", "/chat/invites/look", json={"code": code})
    assert (shown["room_name"], shown["members"]) == ("cellar", 1)
    async with ann.socket(room) as anns:
        assert await accepts(ben, code) == (200, None)
        assert (await anns.until(op="ev", t="member.joined"))["d"]["user_id"] == str(ben.id)
    assert await accepts(ben, code) == (200, None)  # who is in uses nothing up
    assert await accepts(cat, code) == (200, None)
    assert await accepts(dan, code) == (404, "not_found")
    await cat.post(room, "in")


async def test_the_last_use_is_taken_by_one_of_two(chat: "Chat", other_chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), other_chat.person()
    room = await ann.room(is_private=True)
    code = (await invite(ann, room))["code"]
    outcomes = await asyncio.gather(accepts(ben, code), accepts(cat, code))
    assert sorted(outcomes) == [(200, None), (404, "not_found")]


async def test_a_code_is_kept_as_a_digest_and_told_once(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    made = await invite(ann, room)
    (listed,) = (await ann.ok("GET", f"/chat/rooms/{room}/invites"))["items"]
    assert (listed["id"], listed["code"]) == (made["id"], None)
    async with chat.db.read() as tx:
        rows = await tx.scalars(text("SELECT invite::text FROM chat.invite"))
        assert not any(made["code"] in row for row in rows)


async def test_a_personal_invite_is_for_that_person_alone(chat: "Chat") -> None:
    ann, ben, eve = chat.person(), chat.person(), chat.person()
    room = await ann.room(is_private=True)
    made = await invite(ann, room, user_id=str(ben.id))
    assert (await eve.ok("GET", "/chat/invites"))["items"] == []
    assert await accepts(eve, made["code"]) == (404, "not_found")
    assert (await eve.ask("POST", f"/chat/invites/{made['id']}/accept")).status_code == 404
    (mine,) = (await ben.ok("GET", "/chat/invites"))["items"]
    assert (await ben.ok("POST", f"/chat/invites/{mine['id']}/accept"))["room_id"] == str(room)
    assert (await ben.ok("GET", "/chat/invites"))["items"] == []


async def test_nothing_of_a_blocked_person_is_shown_and_they_do_not_learn_of_it(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    async with chat.db.begin() as tx:
        await tx.execute(
            text("INSERT INTO chat.block VALUES (:user_id, :blocked_id, 1, true)"),
            {"user_id": ben.id, "blocked_id": ann.id},
        )
    made = await invite(ann, room, user_id=str(ben.id))
    assert (await ben.ok("GET", "/chat/invites"))["items"] == []
    assert await accepts(ben, made["code"]) == (404, "not_found")
    body = {"user_id": str(ben.id)}
    answer = await ann.ask("POST", f"/chat/rooms/{room}/members", json=body)
    assert answer.status_code == 404


async def test_a_ban_and_an_archived_room_outlast_an_invite(chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben)
    code = (await invite(ann, room, uses=5))["code"]
    ban = {"kind": "ban", "reason": "rude", "user_id": str(ben.id)}
    await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=ban)
    assert await accepts(ben, code) == (403, "banned")
    await ann.ok("PATCH", f"/chat/rooms/{room}", json={"archived": True})
    assert await accepts(cat, code) == (404, "not_found")


async def test_revoked_expired_and_unknown_codes_are_all_the_same(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    revoked, expired = await invite(ann, room), await invite(ann, room)
    await ann.ok("DELETE", f"/chat/rooms/{room}/invites/{revoked['id']}")
    async with chat.db.begin() as tx:
        query = text("UPDATE chat.invite SET expires_at = now() WHERE id = :id")
        await tx.execute(query, {"id": UUID(expired["id"])})
    bodies = []
    for code in (revoked["code"], expired["code"], "unknown", "\x00", "é"):
        answer = await ben.ask("POST", "/chat/invites/look", json={"code": code})
        bodies.append((answer.status_code, answer.json()["code"], answer.json()["detail"]))
    assert len(set(bodies)) == 1
    assert bodies[0][:2] == (404, "not_found")


async def test_only_moderators_invite_and_revoke(chat: "Chat") -> None:
    ann, ben, eve = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, is_private=True)
    made = await invite(ann, room)
    path = f"/chat/rooms/{room}/invites"
    for person, status in ((ben, 403), (eve, 404)):
        assert (await person.ask("POST", path, json={})).status_code == status
        assert (await person.ask("GET", path)).status_code == status
        assert (await person.ask("DELETE", f"{path}/{made['id']}")).status_code == status
    other = await ann.room()
    answer = await ann.ask("DELETE", f"/chat/rooms/{other}/invites/{made['id']}")
    assert answer.status_code == 404


async def test_an_invite_has_its_bounds(chat: "Chat", monkeypatch: pytest.MonkeyPatch) -> None:
    ann = chat.person()
    room = await ann.room()
    path = f"/chat/rooms/{room}/invites"
    now = datetime.now(UTC)
    for life in (timedelta(seconds=-1), timedelta(days=31)):
        answer = await ann.ask("POST", path, json={"expires_at": (now + life).isoformat()})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_expires_at")
    for uses in (0, 1_001):
        assert (await ann.ask("POST", path, json={"uses": uses})).status_code == 400
    monkeypatch.setattr(operations, "INVITES_MAX", 1)
    await invite(ann, room)
    answer = await ann.ask("POST", path, json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await ann.ask("DELETE", f"{path}/{uuid4()}")).status_code == 404
