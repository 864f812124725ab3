"""Messages over HTTP: what is kept, what is shown, what is refused."""

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import text as sql

if TYPE_CHECKING:
    from conftest import Chat, Person

LINK = "https://tunes.example/track/1"


async def history(person: "Person", room: Any, query: str = "") -> Any:
    return await person.ok("GET", f"/chat/rooms/{room}/messages{query}")


async def refused(person: "Person", method: str, path: str, **options: Any) -> tuple[int, str]:
    answer = await person.ask(method, path, **options)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_a_message_is_stored_and_shown_with_the_position_of_the_room(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    posted = await ann.post(room, "first")
    assert (posted["type"], posted["text"], posted["user_id"]) == ("TEXT", "first", str(ann.id))
    page = await history(ann, room)
    (message,) = page["items"]
    assert message["id"] == posted["id"]
    assert message["author"] == {
        "user_id": str(ann.id),
        "handle": None,
        "display_name": None,
        "avatar_url": None,
        "artist": None,
        "is_bot": False,
    }
    assert (page["ep"], page["seq"], page["next_cursor"]) == ("1", posted["seq"], None)


async def test_the_alias_takes_the_room_in_the_body(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    body = {"room_id": str(room), "text": "hi"}
    posted = await ann.ok("POST", "/chat/messages", json=body)
    assert posted["room_id"] == str(room)


async def test_history_pages_backwards_without_gap_or_overlap(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    sent = [(await ann.post(room, f"m{n}"))["id"] for n in range(7)]
    seen: list[str] = []
    query = "?limit=3"
    while True:
        page = await history(ann, room, query)
        seen += [message["id"] for message in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=3&before_seq={page['next_cursor']}"
    assert seen == sent[::-1]


async def test_a_thread_shows_its_three_oldest_replies_and_how_many_there_are(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    root = await ann.post(room, "root")
    replies = [await ben.post(room, f"r{n}", parent_id=root["id"]) for n in range(5)]
    nested = await ann.post(room, "nested", parent_id=replies[0]["id"])
    (message,) = (await history(ann, room))["items"]
    assert [reply["text"] for reply in message["replies"]] == ["r0", "r1", "r2"]
    assert message["reply_count"] == 6
    path = f"/chat/rooms/{room}/messages/{root['id']}/replies"
    page = await ann.ok("GET", f"{path}?limit=4")
    assert [reply["text"] for reply in page["items"]] == ["r0", "r1", "r2", "r3"]
    rest = await ann.ok("GET", f"{path}?after_seq={page['next_cursor']}")
    assert [reply["id"] for reply in rest["items"]] == [replies[4]["id"], nested["id"]]


async def test_reactions_are_a_set_and_counted(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    message = await ann.post(room)
    path = f"/chat/rooms/{room}/messages/{message['id']}/reactions/🔥"
    assert (await ann.ok("PUT", path))["seq"] == message["seq"] + 1
    assert (await ann.ok("PUT", path))["seq"] is None
    await ben.ok("PUT", path)
    (shown,) = (await history(ann, room))["items"]
    (reaction,) = shown["reactions"]
    assert (reaction["emoji"], reaction["count"], reaction["mine"]) == ("🔥", 2, True)
    await ann.ok("DELETE", path)
    assert (await ann.ok("DELETE", path))["seq"] is None
    (shown,) = (await history(ann, room))["items"]
    (reaction,) = shown["reactions"]
    assert (reaction["emoji"], reaction["count"], reaction["mine"]) == ("🔥", 1, False)


async def test_an_edit_raises_the_version_and_tells_the_room(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    message = await ann.post(room, "befor")
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    changed = await ann.ok("PATCH", path, json={"text": "before"})
    assert changed["seq"] == message["seq"] + 1
    assert (await ann.ok("PATCH", path, json={"text": "before"}))["seq"] == message["seq"]
    (shown,) = (await history(ann, room))["items"]
    assert (shown["text"], shown["edit_version"]) == ("before", 1)
    (event,) = await ann.events(room, after_seq=message["seq"])
    assert (event["t"], event["d"]["text"]) == ("message.edited", "before")


async def test_a_deleted_message_leaves_a_tombstone_and_no_words_anywhere(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    message = await ann.post(room, f"secret words {LINK}")
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    await ann.ok("PATCH", path, json={"text": "other secret words"})
    await ann.ok("DELETE", path)
    (shown,) = (await history(ann, room))["items"]
    assert shown["deleted_at"] is not None
    assert shown["text"] == ""
    events = await ann.events(room)
    assert events[-1]["t"] == "message.deleted"
    assert "secret" not in str(events)
    assert LINK not in str(events)
    assert await refused(ann, "DELETE", path) == (404, "not_found")


async def test_the_exact_retry_returns_the_original_message(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    first = await ann.post(room, "once", cid="c-1")
    again = await ann.post(room, "once", cid="c-1")
    assert again == first | {"dup": True}
    assert len(await ann.events(room, after_seq=first["seq"])) == 0


async def test_the_idempotency_key_is_a_cid(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    path, headers = f"/chat/rooms/{room}/messages", {"Idempotency-Key": "key-1"}
    first = await ann.ok("POST", path, json={"text": "once"}, headers=headers)
    again = await ann.ok("POST", path, json={"text": "once"}, headers=headers)
    assert (again["id"], again["dup"]) == (first["id"], True)


async def test_a_cid_with_another_body_or_room_is_a_conflict(chat: "Chat") -> None:
    ann = chat.person()
    room, other = await ann.room(), await ann.room()
    await ann.post(room, "once", cid="c-2")
    for target, text in ((room, "twice"), (other, "once")):
        body = {"text": text, "cid": "c-2"}
        answer = await refused(ann, "POST", f"/chat/rooms/{target}/messages", json=body)
        assert answer == (409, "cid_conflict")


async def test_ten_retries_at_once_are_one_message(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    answers = await asyncio.gather(*(ann.post(room, "once", cid="c-3") for _ in range(10)))
    assert len({answer["id"] for answer in answers}) == 1
    assert [answer["dup"] for answer in answers].count(False) == 1
    assert len((await history(ann, room))["items"]) == 1


async def test_one_cid_in_two_rooms_at_once_is_kept_in_one(chat: "Chat") -> None:
    ann = chat.person()
    rooms = [await ann.room() for _ in range(5)]
    answers = await asyncio.gather(
        *(
            ann.ask("POST", f"/chat/rooms/{room}/messages", json={"text": "x", "cid": "c-4"})
            for room in rooms
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    heads = [(await ann.ok("GET", f"/chat/rooms/{room}"))["last_seq"] for room in rooms]
    assert sorted(heads) == [2, 2, 2, 2, 3]


async def test_two_people_may_choose_the_same_cid(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    first = await ann.post(room, cid="same")
    second = await ben.post(room, cid="same")
    assert first["id"] != second["id"]
    assert second["dup"] is False


@pytest.mark.parametrize("text", ["", " \n\t", "x" * 4001, "nul\x00", 7, None])
async def test_a_text_that_cannot_be_kept_is_refused(chat: "Chat", text: Any) -> None:
    ann = chat.person()
    room = await ann.room()
    answer = await ann.ask("POST", f"/chat/rooms/{room}/messages", json={"text": text})
    assert answer.status_code in (400, 422)
    assert (await history(ann, room))["items"] == []


@pytest.mark.parametrize("text", ["x", "x" * 4000, "<script>", "🎵" * 4000, "'; DROP TABLE--"])
async def test_a_text_at_its_limits_is_kept_exactly(chat: "Chat", text: str) -> None:
    ann = chat.person()
    room = await ann.room()
    await ann.post(room, text)
    (shown,) = (await history(ann, room))["items"]
    assert shown["text"] == text


async def test_lone_surrogates_are_the_callers_fault(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    body = b'{"text":"\\ud800"}'
    headers = {"Content-Type": "application/json"}
    answer = await ann.ask("POST", f"/chat/rooms/{room}/messages", content=body, headers=headers)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    "extra", [{"id": str(uuid4())}, {"user_id": str(uuid4())}, {"seq": 1}, {"isMod": True}]
)
async def test_unknown_fields_are_refused(chat: "Chat", extra: dict[str, Any]) -> None:
    ann = chat.person()
    room = await ann.room()
    answer = await refused(ann, "POST", f"/chat/rooms/{room}/messages", json={"text": "x", **extra})
    assert answer == (400, "validation_failed")


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?before_seq=-1", "?before_seq=x"])
async def test_attack_062_a_forged_page_is_refused(chat: "Chat", query: str) -> None:
    ann = chat.person()
    room = await ann.room()
    path = f"/chat/rooms/{room}/messages{query}"
    assert (await refused(ann, "GET", path))[0] == 400


@pytest.mark.parametrize("seq", [2**53 + 1, 2**63, 10**30])
async def test_a_place_that_no_log_has_is_refused_and_the_last_one_is_not(
    chat: "Chat", seq: int
) -> None:
    ann = chat.person()
    room = await ann.room()
    message = await ann.post(room)
    base = f"/chat/rooms/{room}"
    for path in (
        f"{base}/messages?before_seq=",
        f"{base}/messages/{message['id']}/replies?after_seq=",
        f"{base}/events?after_seq=",
    ):
        assert await refused(ann, "GET", f"{path}{seq}") == (400, "validation_failed")
        assert await ann.ok("GET", f"{path}{2**53}")


@pytest.mark.parametrize("emoji", ["word", "%20", "x" * 17, "%01", "🔥" * 17, "%00"])
async def test_what_is_no_emoji_is_refused(chat: "Chat", emoji: str) -> None:
    ann = chat.person()
    room = await ann.room()
    message = await ann.post(room)
    path = f"/chat/rooms/{room}/messages/{message['id']}/reactions/{emoji}"
    assert await refused(ann, "PUT", path) == (422, "invalid_text")


async def test_attack_060_only_the_author_edits_and_deletes(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    message = await ben.post(room)
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    assert await refused(ann, "PATCH", path, json={"text": "x"}) == (403, "forbidden")
    assert await refused(ann, "DELETE", path) == (403, "forbidden")


async def test_ids_of_another_room_are_not_found(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room()
    foreign_room = await ben.room(is_private=True)
    foreign = await ben.post(foreign_room, "private")
    base = f"/chat/rooms/{room}/messages"
    one = f"{base}/{foreign['id']}"
    reply = {"text": "x", "parent_id": foreign["id"]}
    assert await refused(ann, "POST", base, json=reply) == (404, "not_found")
    assert await refused(ann, "PATCH", one, json={"text": "x"}) == (404, "not_found")
    assert await refused(ann, "DELETE", one) == (404, "not_found")
    assert await refused(ann, "PUT", f"{one}/reactions/🔥") == (404, "not_found")
    assert (await ann.ok("GET", f"{one}/replies"))["items"] == []


async def test_nobody_speaks_without_an_identity(chat: "Chat") -> None:
    answer = await chat.http.post("/api/v1/chat/messages", json={"text": "x"})
    assert answer.status_code == 401


@pytest.mark.parametrize("is_private", [True, False])
async def test_events_say_that_a_room_is_private(chat: "Chat", is_private: bool) -> None:
    ann = chat.person()
    room = await ann.room(is_private=is_private)
    message = await ann.post(room, "https://tunes.example/1")
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    await ann.ok("PATCH", path, json={"text": "https://tunes.example/2"})
    async with chat.db.read() as tx:
        query = sql("SELECT payload FROM chat.outbox WHERE subject LIKE :subject")
        subject = f"seda.evt.chat.message.%.{room}"
        told = [json.loads(row) for row in await tx.scalars(query, {"subject": subject})]
    assert [event["in_private_room"] for event in told] == [is_private, is_private]
