"""Real clients on a real service: what is said in rooms, and who hears it."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from conftest import Chat, Person


async def test_two_people_in_a_room_see_each_others_messages_in_order(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns, ben.socket(room) as bens:
        reply = await anns.ask("msg.send", room, cid="c1", text="hello")
        event = await bens.until(op="ev", t="message.created")
        assert event["seq"] == reply["seq"]
        assert event["d"]["id"] == reply["msg"]
        assert event["d"]["text"] == "hello"
        assert event["d"]["author"]["user_id"] == str(ann.id)
        await bens.ask("msg.send", room, cid="c1", text="hello back")
        own = await bens.until(op="ev", t="message.created")
        seen = await anns.until(op="ev", seq=own["seq"])
        assert seen == own


async def test_a_message_sent_over_http_is_heard_on_the_socket(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ben.socket(room) as bens:
        posted = await ann.post(room, "by http")
        event = await bens.until(op="ev")
        assert (event["seq"], event["d"]["text"]) == (posted["seq"], "by http")


async def test_every_change_has_its_number_on_the_socket_as_in_the_log(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns:
        sent = await anns.ask("msg.send", room, cid="c", text="one")
        message_id = sent["msg"]
        await anns.ask("msg.edit", room, message_id=message_id, text="two")
        await anns.ask("react.add", room, message_id=message_id, emoji="🔥")
        await anns.ask("react.remove", room, message_id=message_id, emoji="🔥")
        last = await anns.ask("msg.delete", room, message_id=message_id)
        await anns.until(op="ev", seq=last["seq"])
        heard = anns.events(room)
    assert [event["t"] for event in heard] == [
        "message.created",
        "message.edited",
        "reaction.changed",
        "reaction.changed",
        "message.deleted",
    ]
    assert [event["seq"] for event in heard] == list(range(sent["seq"], sent["seq"] + 5))
    logged = await ann.events(room, after_seq=sent["seq"] - 1)
    assert [event["seq"] for event in logged] == [event["seq"] for event in heard]


async def test_a_private_room_is_not_found_and_a_public_one_asks_to_join(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    private, public = await ann.room(is_private=True), await ann.room()
    async with ben.socket() as bens:
        assert (await bens.refused("room.sub", private))["code"] == "not_found"
        assert (await bens.refused("room.sub", uuid4()))["code"] == "not_found"
        assert (await bens.refused("room.sub", public))["code"] == "not_member"
        refusal = await bens.refused("msg.send", private, cid="c", text="x")
        assert refusal["code"] == "not_found"
        assert (await bens.refused("typing", public))["code"] == "not_member"


async def test_the_retry_of_a_send_returns_the_first_answer(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        first = await anns.ask("msg.send", room, cid="same", text="once")
        again = await anns.ask("msg.send", room, cid="same", text="once")
        assert again == first | {"dup": True}
        refusal = await anns.refused("msg.send", room, cid="same", text="other")
        assert (refusal["code"], refusal["retry"]) == ("cid_conflict", "never")
    posted = await ann.post(room, "once", cid="same")
    assert posted["id"] == first["msg"]


@pytest.mark.parametrize("text", ["", "x" * 4001, "  ", "nul\x00"])
async def test_a_bad_text_is_a_bad_request(chat: "Chat", text: str) -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        refusal = await anns.refused("msg.send", room, cid="c", text=text)
        assert refusal["code"] == "bad_request"


async def test_typing_reaches_others_and_leaves_no_trace(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    before = await ann.events(room)
    async with ann.socket(room) as anns, ben.socket(room) as bens:
        await anns.ask("typing", room)
        hint = await bens.until(op="ep", t="typing")
        assert hint["d"] == {"user_id": str(ann.id)}
    assert await ann.events(room) == before


async def test_a_heartbeat_gives_three_times_and_the_heads_of_rooms(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    head = (await ann.post(room))["seq"]
    async with ann.socket(room) as anns:
        sent_ms = time.time() * 1000
        await anns.say("hb", n=3, t0=sent_ms)
        beat = await anns.until(op="hb.ok")
        assert (beat["n"], beat["t0"], beat["heads"]) == (3, sent_ms, {str(room): head})
        assert sent_ms <= beat["t1"] <= beat["t2"] <= time.time() * 1000


async def test_after_unsubscribing_nothing_comes(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns, ben.socket(room) as bens:
        await bens.ask("room.unsub", room)
        last = await anns.ask("msg.send", room, cid="c", text="x")
        await anns.until(op="ev", seq=last["seq"])
        await bens.say("hb")
        await bens.until(op="hb.ok")
        assert bens.events(room) == []


async def test_read_marks_move_forward_only(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    head = (await ann.post(room))["seq"]
    async with ann.socket(room) as anns:
        assert await anns.ask("read.mark", room, seq=head) == {"seq": head}
        assert await anns.ask("read.mark", room, seq=1) == {"seq": head}
        assert await anns.ask("read.mark", room, seq=head + 100) == {"seq": head}


async def test_attack_061_a_muted_member_is_refused_each_way_with_the_time_left(
    chat: "Chat", other_chat: "Chat"
) -> None:
    """On every socket of every process and over HTTP, which is also how those without a socket
    speak; whether they say something new, say it otherwise or only nod.
    """
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    own = (await ben.post(room))["id"]
    await _act(ann, room, "mute", ben, until="2126-01-01T00:00:00Z")
    async with ben.socket(room) as here, ben.socket(room, via=other_chat) as there:
        for socket in (here, there):
            for op, body in (
                ("msg.send", {"cid": "c", "text": "x"}),
                ("msg.edit", {"message_id": own, "text": "x"}),
                ("react.add", {"message_id": own, "emoji": "\N{THUMBS UP SIGN}"}),
            ):
                refusal = await socket.refused(op, room, **body)
                assert (refusal["code"], refusal["retry"]) == ("muted", "later")
                assert refusal["retry_ms"] > 0
    messages = f"/chat/rooms/{room}/messages"
    for method, path, json_body in (
        ("POST", messages, {"text": "x"}),
        ("POST", "/chat/messages", {"room_id": str(room), "text": "x"}),
        ("PATCH", f"{messages}/{own}", {"text": "x"}),
        ("PUT", f"{messages}/{own}/reactions/\N{THUMBS UP SIGN}", None),
    ):
        answer = await ben.ask(method, path, json=json_body)
        assert (answer.status_code, answer.json()["code"]) == (403, "muted"), path
        assert int(answer.headers["Retry-After"]) > 0
    assert [event["t"] for event in await ann.events(room)][-1] == "mod.action"


@pytest.mark.parametrize(("kind", "reason"), [("kick", "kicked"), ("ban", "banned")])
async def test_attack_058_removal_cuts_every_socket_on_every_process_at_once(
    chat: "Chat", other_chat: "Chat", kind: str, reason: str
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with (
        ann.socket(room) as anns,
        ben.socket(room) as here,
        ben.socket(room, via=other_chat) as there,
    ):
        await _act(ann, room, kind, ben)
        removal = await anns.until(op="ev", t=f"member.{reason}")
        for socket in (here, there):
            assert (await socket.until(op="unsub", room=str(room)))["reason"] == reason
        after = await anns.ask("msg.send", room, cid="c", text="gone?")
        await anns.until(op="ev", seq=after["seq"])
        for socket in (here, there):
            await socket.say("hb")
            beat = await socket.until(op="hb.ok")
            assert beat["heads"] == {}
            assert all(event["seq"] < removal["seq"] for event in socket.events(room))
            assert (await socket.refused("msg.send", room, cid="d", text="x"))["code"] in (
                "not_member",
                "banned",
            )


async def test_leaving_over_http_ends_listening_too(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ben.socket(room) as bens:
        await ben.ok("POST", f"/chat/rooms/{room}/leave")
        assert (await bens.until(op="unsub"))["reason"] == "left"


async def test_two_processes_share_a_room(chat: "Chat", other_chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns, ben.socket(room, via=other_chat) as bens:
        for turn in range(5):
            await anns.ask("msg.send", room, cid=f"a{turn}", text="from here")
            last = await bens.ask("msg.send", room, cid=f"b{turn}", text="from there")
        await anns.until(op="ev", seq=last["seq"])
        await bens.until(op="ev", seq=last["seq"])
        assert anns.events(room) == bens.events(room)
        assert len(anns.events(room)) == 10


async def test_fifty_concurrent_sends_leave_no_hole_and_one_order(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with (
        ann.socket(room) as a1,
        ann.socket(room, via=other_chat) as a2,
        ben.socket(room) as b1,
        ben.socket(room, via=other_chat) as b2,
    ):
        sockets = (a1, a2, b1, b2)
        replies = await asyncio.gather(
            *(sockets[n % 4].ask("msg.send", room, cid=f"c{n}", text=f"m{n}") for n in range(50))
        )
        seqs = sorted(reply["seq"] for reply in replies)
        assert seqs == list(range(seqs[0], seqs[0] + 50))
        for socket in sockets:
            await socket.until(op="ev", seq=seqs[-1])
            assert [event["seq"] for event in socket.events(room)] == seqs
        assert a1.events(room) == b2.events(room)


async def test_attack_101_a_slow_reader_is_left_out_and_told_so_while_others_hear_everything(
    start_chat: Any,
) -> None:
    async with start_chat(commands_burst=1000, stall_seconds_max=60) as patient:
        ann, ben = patient.person(), patient.person()
        room = await ann.room(ben)
        async with (
            ann.socket(room) as anns,
            connect(_address(patient), compression=None, max_queue=1) as slow,
        ):
            await slow.send(_hello(ben.ticket(), room))
            assert '"live"' in await _message_with(slow, '"live"')
            audience = patient.live.hub.audience(room)
            slow.transport.pause_reading()
            last, sent = 0, 0
            while not audience.slow:
                sent += 1
                assert sent < 500
                reply = await anns.ask("msg.send", room, cid=f"s{sent}", text="x" * 4000)
                last = reply["seq"]
            last = (await anns.ask("msg.send", room, cid="last", text="x"))["seq"]
            await anns.until(op="ev", seq=last)
            heard = [event["seq"] for event in anns.events(room)]
            assert heard == list(range(last - sent, last + 1))
            slow.transport.resume_reading()
            assert str(room) in await _message_with(slow, '"lagged"')


def _address(chat: "Chat") -> str:
    return f"ws://127.0.0.1:{chat.live.listener.port}/api/v1/realtime"


async def _message_with(connection: ClientConnection, words: str) -> str:
    async with asyncio.timeout(5):
        async for message in connection:
            if words in str(message):
                return str(message)
    raise AssertionError(f"closed without {words}")


def _hello(ticket: str, room: UUID) -> str:
    resume = {"rooms": {str(room): {"ep": "0", "seq": 0}}}
    return json.dumps({"id": 1, "op": "hello", "d": {"ticket": ticket, "resume": resume}})


async def _act(moderator: "Person", room: UUID, kind: str, person: "Person", **more: str) -> None:
    body = {"kind": kind, "reason": "test", "user_id": str(person.id), **more}
    await moderator.ok("POST", f"/chat/rooms/{room}/moderation", json=body)
