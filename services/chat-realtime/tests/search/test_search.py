"""Search of a room: what is found, and what must not be."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from chat_realtime.search import store
from chat_realtime.tables import SEARCH_VECTOR
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person


async def found(person: "Person", room: UUID, **query: Any) -> list[str]:
    page = await person.ok("GET", f"/chat/rooms/{room}/search", params=query)
    return [message["text"] for message in page["items"]]


async def test_words_are_found_newest_first_and_paged_by_seq(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    for number in range(3):
        await ann.post(room, f"Lanterns over water {number}")
    await ben.post(room, "lanterns, he said")
    await ben.post(room, "nothing of the kind")
    assert await found(ann, room, q="LANTERNS") == [
        "lanterns, he said",
        *(f"Lanterns over water {number}" for number in (2, 1, 0)),
    ]
    assert await found(ann, room, q="lanterns", author_id=str(ben.id)) == ["lanterns, he said"]
    assert await found(ann, room, q='"over water" -1') == [
        "Lanterns over water 2",
        "Lanterns over water 0",
    ]
    page = await ann.ok("GET", f"/chat/rooms/{room}/search", params={"q": "lanterns", "limit": 2})
    rest = await found(ann, room, q="lanterns", before_seq=page["next_cursor"])
    assert rest == ["Lanterns over water 1", "Lanterns over water 0"]


async def test_an_edit_is_found_by_its_new_words_and_a_deleted_message_by_none(
    chat: "Chat",
) -> None:
    ann = chat.person()
    room = await ann.room()
    message = await ann.post(room, "turqoise")
    path = f"/chat/rooms/{room}/messages/{message['id']}"
    await ann.ok("PATCH", path, json={"text": "turquoise"})
    assert await found(ann, room, q="turqoise") == []
    assert await found(ann, room, q="turquoise") == ["turquoise"]
    await ann.ok("DELETE", path)
    assert await found(ann, room, q="turquoise") == []


async def test_nothing_of_another_room_is_found_not_even_by_its_id(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    room, other = await ann.room(is_private=True), await ann.room()
    await ann.post(room, "whispered")
    await ann.post(other, "aloud")
    assert await found(ann, other, q="whispered") == []
    assert await found(ann, other, q=f"{room}") == []
    assert await found(ann, other, q=f"aloud or {room}") == ["aloud"]
    for path, status in ((room, 404), (other, 403)):
        answer = await eve.ask("GET", f"/chat/rooms/{path}/search", params={"q": "aloud"})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "query", ["'", "a & | !", ":*", "\\", "<->", "((", '"', "%", "-", "\U0001f525", "or", "a" * 100]
)
async def test_no_query_breaks_the_search(chat: "Chat", query: str) -> None:
    ann = chat.person()
    room = await ann.room()
    await ann.post(room, "said")
    await found(ann, room, q=query)


@pytest.mark.parametrize("query", ["", "a" * 101, "a\x00b"])
async def test_a_query_that_cannot_be_asked_is_refused(chat: "Chat", query: str) -> None:
    ann = chat.person()
    room = await ann.room()
    answer = await ann.ask("GET", f"/chat/rooms/{room}/search", params={"q": query})
    assert answer.status_code in (400, 422)


async def test_a_search_that_takes_too_long_is_stopped_and_says_so(
    chat: "Chat", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_FOUND", text("SELECT pg_sleep(60) WHERE :query = :query"))
    monkeypatch.setattr(store, "SEARCH_SECONDS_MAX", 0.01)
    ann = chat.person()
    room = await ann.room()
    answer = await ann.ask("GET", f"/chat/rooms/{room}/search", params={"q": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "search_too_broad")


async def test_the_words_of_the_query_are_the_words_of_the_index(chat: "Chat") -> None:
    """Were the two written differently, every search would read the whole table."""
    async with chat.db.begin() as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        explain = f"EXPLAIN SELECT id FROM chat.message WHERE ({SEARCH_VECTOR}) @@ 'x'::tsquery"
        plan = "\n".join(await tx.scalars(text(explain)))
    assert "ix_message_search" in plan
