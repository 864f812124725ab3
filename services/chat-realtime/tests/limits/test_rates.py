"""Rates where they are felt: over HTTP and the socket, of a person and of a room."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from conftest import Chat


async def test_a_persons_sockets_and_http_share_one_rate(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(person_messages_per_second=0.01, person_messages_burst=3) as strict:
        ann, ben = strict.person(), strict.person()
        room = await ann.room(ben)
        async with ann.socket(room) as one, ann.socket(room) as other:
            await one.ask("msg.send", room, cid="1", text="x")
            await other.ask("msg.send", room, cid="2", text="x")
            await ann.post(room)
            refusal = await one.refused("msg.send", room, cid="3", text="x")
            assert (refusal["code"], refusal["retry"]) == ("rate_limited", "later")
            assert 0 < refusal["retry_ms"] <= 100_000
            answer = await ann.ask("POST", f"/chat/rooms/{room}/messages", json={"text": "x"})
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
            assert 0 < int(answer.headers["Retry-After"]) <= 100
        await ben.post(room)
        assert (await ann.ok("GET", f"/chat/rooms/{room}"))["last_seq"] == 7


async def test_a_room_takes_so_much_from_all_together(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(room_messages_per_second=0.01, room_messages_burst=2) as strict:
        ann, ben, eve = (strict.person() for _ in range(3))
        room, quiet = await ann.room(ben, is_private=True), await ann.room(is_private=True)
        for path in (f"/chat/rooms/{room}/messages", f"/chat/rooms/{quiet}/messages"):
            # Strangers use up nothing.
            answers = [await eve.ask("POST", path, json={"text": "x"}) for _ in range(4)]
            assert {answer.status_code for answer in answers} == {404}
        first = await ann.post(room, cid="c")
        assert (await ann.post(room, cid="c"))["id"] == first["id"]
        await ben.post(room)
        async with ben.socket(room) as bens:
            refusal = await bens.refused("msg.send", room, cid="3", text="x")
            assert refusal["code"] == "rate_limited"
        await ann.post(quiet)
        # Whoever may not know of the room is not told that it is busy.
        for path in (f"/chat/rooms/{room}/messages", f"/chat/rooms/{uuid4()}/messages"):
            answer = await eve.ask("POST", path, json={"text": "x"})
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_typing_above_the_rate_of_a_room_vanishes(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(room_typing_per_second=0.01, room_typing_burst=1) as strict:
        ann, ben = strict.person(), strict.person()
        room = await ann.room(ben)
        async with ann.socket(room) as anns, ben.socket(room) as bens:
            await anns.ask("typing", room)
            await bens.until(op="ep", t="typing")
            await bens.ask("typing", room)
            sent = await bens.ask("msg.send", room, cid="c", text="x")
            await anns.until(op="ev", seq=sent["seq"])
            hints = [f["d"]["user_id"] for f in anns.heard if f.get("t") == "typing"]
            assert hints == [str(ann.id)]
