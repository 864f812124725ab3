"""What an edited message said before: kept for a while, for few, and gone with the message."""

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from chat_realtime.messages import operations
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat


async def test_the_author_and_moderators_see_what_it_said_and_others_that_it_was_edited(
    chat: "Chat",
) -> None:
    ann, ben, cat = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, cat)
    message = await ben.post(room, "one")
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    for words in ("two", "two", "three"):
        await ben.ok("PATCH", path, json={"text": words})
    for person in (ann, ben):
        kept = (await person.ok("GET", f"{path}/revisions"))["items"]
        assert [(each["edit_version"], each["text"]) for each in kept] == [(0, "one"), (1, "two")]
    assert (await cat.ask("GET", f"{path}/revisions")).status_code == 403
    (shown,) = (await cat.ok("GET", f"/chat/rooms/{room}/messages"))["items"]
    assert (shown["text"], shown["edit_version"]) == ("three", 2)


async def test_strangers_and_wrong_rooms_find_no_revisions(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    room, other = await ann.room(is_private=True), await ann.room()
    message = await ann.post(room)
    for person, where in ((eve, room), (ann, other), (ann, uuid4())):
        path = f"/chat/rooms/{where}/messages/{message['id']}/revisions"
        assert (await person.ask("GET", path)).status_code == 404


@pytest.mark.parametrize("by", ["author", "moderator"])
async def test_deleted_words_are_nowhere_any_more(chat: "Chat", by: str) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    secret = f"secret {uuid4()}"
    message = await ben.post(room, secret)
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    await ben.ok("PATCH", path, json={"text": "better"})
    if by == "author":
        await ben.ok("DELETE", path)
    else:
        act = {"kind": "delete_message", "reason": "rude", "message_id": message["id"]}
        await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=act)
    async with chat.db.read() as tx:
        for table, column in (
            ("message", "text"),
            ("message_revision", "text"),
            ("room_log", "data::text"),
        ):
            query = text(f"SELECT count(*) FROM chat.{table} WHERE {column} LIKE :pattern")
            assert await tx.scalar(query, {"pattern": f"%{secret}%"}) == 0, table


async def test_only_the_newest_revisions_are_kept(
    chat: "Chat", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "REVISIONS_MAX", 2)
    ann = chat.person()
    room = await ann.room()
    path = f"/chat/rooms/{room}/messages/{(await ann.post(room, '0'))['id']}"
    for number in range(1, 5):
        await ann.ok("PATCH", path, json={"text": str(number)})
    kept = (await ann.ok("GET", f"{path}/revisions"))["items"]
    assert [each["text"] for each in kept] == ["2", "3"]
