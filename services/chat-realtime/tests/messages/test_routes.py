"""Messages over HTTP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Chat


async def test_a_message_is_stored_and_shown_in_history(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    posted = await ann.post(room, "first")
    assert posted["type"] == "TEXT"
    assert posted["text"] == "first"
    assert posted["user_id"] == str(ann.id)
    page = await ann.ok("GET", f"/chat/rooms/{room}/messages")
    (message,) = page["items"]
    assert message["id"] == posted["id"]
    assert message["author"]["user_id"] == str(ann.id)
    assert (page["ep"], page["seq"]) == ("1", posted["seq"])
