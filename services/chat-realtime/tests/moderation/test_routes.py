"""Moderation over HTTP: effects, rights, and a log that cannot be changed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

if TYPE_CHECKING:
    from conftest import Chat, Person
    from seda_testkit.databases import ServiceDatabase


async def act(moderator: "Person", room: UUID, kind: str, **more: Any) -> Any:
    answer = await moderator.ask(
        "POST", f"/chat/rooms/{room}/moderation", json={"kind": kind, "reason": "spam", **more}
    )
    return answer


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def says(person: "Person", room: UUID) -> tuple[int, str | None]:
    answer = await person.ask("POST", f"/chat/rooms/{room}/messages", json={"text": "x"})
    return answer.status_code, answer.json().get("code")


async def test_a_muted_member_cannot_send_and_an_unmuted_one_can(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await act(ann, room, "mute", user_id=str(ben.id), until=in_an_hour())
    answer = await ben.ask("POST", f"/chat/rooms/{room}/messages", json={"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "muted")
    assert 3500 < int(answer.headers["Retry-After"]) <= 3601
    await act(ann, room, "unmute", user_id=str(ben.id))
    assert (await says(ben, room))[0] == 201


async def test_a_mute_is_not_shed_by_leaving_and_coming_back(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await act(ann, room, "mute", user_id=str(ben.id), until=in_an_hour())
    await ben.ok("POST", f"/chat/rooms/{room}/leave")
    await ben.ok("POST", f"/chat/rooms/{room}/join")
    assert await says(ben, room) == (403, "muted")


async def test_a_kicked_member_may_come_back_and_a_banned_one_may_not(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await act(ann, room, "kick", user_id=str(ben.id))
    assert await says(ben, room) == (403, "not_member")
    await ben.ok("POST", f"/chat/rooms/{room}/join")
    await act(ann, room, "ban", user_id=str(ben.id))
    assert await says(ben, room) == (403, "banned")
    answer = await ben.ask("POST", f"/chat/rooms/{room}/join")
    assert (answer.status_code, answer.json()["code"]) == (403, "banned")
    await act(ann, room, "unban", user_id=str(ben.id))
    await ben.ok("POST", f"/chat/rooms/{room}/join")
    assert (await says(ben, room))[0] == 201


async def test_a_moderator_deletes_a_message_with_a_reason(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    message = await ben.post(room, "buy now")
    answer = await act(ann, room, "delete_message", message_id=message["id"])
    assert answer.status_code == 201
    assert answer.json()["user_id"] == str(ben.id)
    events = await ann.events(room)
    assert events[-1]["d"]["deleted_by"] == str(ann.id)
    assert "buy now" not in str(events)


async def test_a_platform_administrator_acts_in_rooms_they_are_not_in(chat: "Chat") -> None:
    ann, root = chat.person(), chat.person(role="ADMIN")
    room = await ann.room(is_private=True)
    message = await ann.post(room, "bad")
    assert (await act(root, room, "delete_message", message_id=message["id"])).status_code == 201


async def test_rank_decides(chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, cat)
    assert (await act(ben, room, "kick", user_id=str(cat.id))).status_code == 403
    await ann.ok("PATCH", f"/chat/rooms/{room}/members/{ben.id}", json={"role": "moderator"})
    assert (await act(ben, room, "kick", user_id=str(ann.id))).status_code == 403
    assert (await act(ben, room, "kick", user_id=str(cat.id))).status_code == 201
    own = await act(ben, room, "mute", user_id=str(ben.id), until=in_an_hour())
    assert (own.status_code, own.json()["code"]) == (422, "cannot_moderate_self")


async def test_attack_060_a_moderator_of_one_room_is_nobody_in_another(chat: "Chat") -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    await ann.room()
    room = await ben.room(cat)
    assert (await act(ann, room, "kick", user_id=str(cat.id))).status_code == 403
    await ann.ok("POST", f"/chat/rooms/{room}/join")
    assert (await act(ann, room, "kick", user_id=str(cat.id))).status_code == 403


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"kind": "mute"}, 422),
        ({"kind": "mute", "until": "2020-01-01T00:00:00Z"}, 422),
        ({"kind": "mute", "until": "2020-01-01T00:00:00"}, 400),
        ({"kind": "mute", "until": "9999-12-31T23:59:59-23:59"}, 422),
        ({"kind": "ban", "until": "9999-12-31T23:59:59-23:59"}, 422),
        ({"kind": "ban", "until": "0001-01-01T00:00:00+23:59"}, 422),
        ({"kind": "explode"}, 400),
        ({"kind": "kick", "reason": ""}, 400),
        ({"kind": "kick", "reason": "  "}, 422),
        ({"kind": "kick", "user_id": None}, 404),
        ({"kind": "kick", "user_id": str(uuid4())}, 404),
        ({"kind": "delete_message"}, 404),
        ({"kind": "delete_message", "message_id": str(uuid4())}, 404),
    ],
)
async def test_an_action_that_makes_no_sense_is_refused(
    chat: "Chat", more: dict[str, Any], status: int
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    body = {"reason": "spam", "user_id": str(ben.id), **more}
    answer = await ann.ask("POST", f"/chat/rooms/{room}/moderation", json=body)
    assert answer.status_code == status


async def test_the_log_tells_who_what_and_why_to_moderators_only(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await act(ann, room, "mute", user_id=str(ben.id), until=in_an_hour())
    await act(ann, room, "unmute", user_id=str(ben.id))
    page = await ann.ok("GET", f"/chat/rooms/{room}/moderation")
    assert [(a["kind"], a["reason"], a["moderator_id"]) for a in page["items"]] == [
        ("unmute", "spam", str(ann.id)),
        ("mute", "spam", str(ann.id)),
    ]
    assert (await ben.ask("GET", f"/chat/rooms/{room}/moderation")).status_code == 403
    assert "spam" not in str(await ben.events(room))


async def test_every_rooms_log_is_for_administrators(chat: "Chat") -> None:
    ann, ben, root = chat.person(), chat.person(), chat.person(role="ADMIN")
    room = await ann.room(ben)
    await act(ann, room, "kick", user_id=str(ben.id))
    page = await root.ok("GET", "/admin/moderation/actions?limit=1")
    assert page["items"][0]["room_id"] == str(room)
    assert page["next_cursor"] == page["items"][0]["id"]
    assert (await ann.ask("GET", "/admin/moderation/actions")).status_code == 403


async def test_the_database_refuses_to_change_the_log(
    chat: "Chat", database: "ServiceDatabase"
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await act(ann, room, "kick", user_id=str(ben.id))
    connection = await asyncpg.connect(database.app_url)
    try:
        for statement in (
            "UPDATE chat.moderation_action SET reason = ''",
            "DELETE FROM chat.moderation_action",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(statement)
    finally:
        await connection.close()
