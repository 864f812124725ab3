"""Real clients on a real service: hello, rooms, messages, and what happens when things go wrong."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from seda_contracts.events.auth import SessionRevoked
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from conftest import Chat, Person, Socket


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


async def test_resuming_brings_what_was_missed_then_goes_live(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    first = await ann.post(room, "before")
    missed = [await ann.post(room, f"missed {n}") for n in range(3)]
    cursor = {str(room): {"ep": "1", "seq": first["seq"]}}
    async with ben.socket(resume=cursor) as bens:
        (state,) = bens.ready["rooms"]
        assert (state["result"], state["n"], state["head"]) == ("replay", 3, missed[-1]["seq"])
        live = await bens.until(op="live", room=str(room))
        assert live["head"] == missed[-1]["seq"]
        now = await ann.post(room, "now")
        await bens.until(op="ev", seq=now["seq"])
        assert [event["seq"] for event in bens.events(room)] == [
            *(message["seq"] for message in missed),
            now["seq"],
        ]


async def test_resuming_where_nothing_happened_is_current(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    head = (await ann.post(room))["seq"]
    async with ann.socket(resume={str(room): {"ep": "1", "seq": head}}) as anns:
        assert anns.ready["rooms"][0]["result"] == "current"


@pytest.mark.parametrize("cursor", [{"ep": "0", "seq": 1}, {"ep": "1", "seq": 10_000}])
async def test_a_cursor_that_means_nothing_gets_a_snapshot(
    chat: "Chat", cursor: dict[str, Any]
) -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(resume={str(room): cursor}) as anns:
        assert anns.ready["rooms"][0]["result"] == "snapshot"
        await anns.until(op="live")


async def test_too_many_missed_events_get_a_snapshot(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        message = await anns.ask("msg.send", room, cid="c", text="x")
    path = f"/chat/rooms/{room}/messages/{message['msg']}/reactions/🔥"
    await asyncio.gather(*(_on_and_off(ann, path) for _ in range(8)))
    head = (await ann.ok("GET", f"/chat/rooms/{room}"))["last_seq"]
    assert head > 502
    async with ann.socket(resume={str(room): {"ep": "1", "seq": head - 501}}) as anns:
        assert anns.ready["rooms"][0]["result"] == "snapshot"
    async with ann.socket(resume={str(room): {"ep": "1", "seq": head - 500}}) as anns:
        assert (anns.ready["rooms"][0]["result"], anns.ready["rooms"][0]["n"]) == ("replay", 500)
        await anns.until(op="live")
        assert [e["seq"] for e in anns.events(room)] == list(range(head - 499, head + 1))


async def _on_and_off(person: "Person", path: str) -> None:
    for _ in range(60):
        await person.ok("PUT", path)
        await person.ok("DELETE", path)


async def test_rooms_one_may_not_hear_are_gone_on_resume(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    nowhere = uuid4()
    cursors = {str(each): {"ep": "1", "seq": 1} for each in (room, nowhere)}
    async with ben.socket(resume=cursors) as bens:
        assert [state["result"] for state in bens.ready["rooms"]] == ["gone", "gone"]
        await ann.post(room, "private")
        await bens.say("hb")
        await bens.until(op="hb.ok")
        assert bens.events(room) == []


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


async def test_a_muted_member_is_refused_on_the_socket_with_the_time_left(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    await _act(ann, room, "mute", ben, until="2126-01-01T00:00:00Z")
    async with ben.socket(room) as bens:
        refusal = await bens.refused("msg.send", room, cid="c", text="x")
        assert (refusal["code"], refusal["retry"]) == ("muted", "later")
        assert refusal["retry_ms"] > 0


@pytest.mark.parametrize(("kind", "reason"), [("kick", "kicked"), ("ban", "banned")])
async def test_removal_cuts_every_socket_on_every_process_at_once(
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


async def test_joining_amid_traffic_misses_and_repeats_nothing(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    start = (await ann.post(room))["seq"]

    async def chatter(socket: "Socket") -> None:
        for n in range(60):
            await socket.ask("msg.send", room, cid=f"n{n}", text="x")

    async with ann.socket(room) as anns:
        talking = asyncio.create_task(chatter(anns))
        for _ in range(8):
            async with ben.socket(resume={str(room): {"ep": "1", "seq": start}}) as bens:
                await bens.until(op="live")
                first = await bens.until(op="ev") if not talking.done() else None
                heard = [event["seq"] for event in bens.events(room)]
                assert first is None or heard == list(range(start + 1, start + 1 + len(heard)))
        await talking


async def test_an_event_lost_on_the_way_is_filled_from_the_log(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        head = anns.heard[-1]["head"]
        await _append_silently(chat, room)
        sent = await anns.ask("msg.send", room, cid="c", text="after the hole")
        await anns.until(op="ev", seq=sent["seq"])
        assert [event["seq"] for event in anns.events(room)] == [head + 1, head + 2]
        assert sent["seq"] == head + 2


async def test_a_loss_at_the_end_is_found_by_the_sweep(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        await _append_silently(chat, room)
        await chat.live.sweep()
        event = await anns.until(op="ev")
        assert event["t"] == "room.updated"


async def test_a_removal_nobody_heard_of_is_found_by_the_sweep(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ben.socket(room) as bens:
        async with chat.db.begin() as tx:
            await tx.execute(
                text("UPDATE chat.membership SET banned_at = now() WHERE user_id = :id"),
                {"id": ben.id},
            )
            await tx.execute(
                text("UPDATE chat.room SET acl_epoch = acl_epoch + 1 WHERE id = :id"), {"id": room}
            )
        await chat.live.sweep()
        await bens.until(op="unsub", room=str(room))


async def test_rooms_nobody_listens_to_are_let_go_by_the_sweep(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room):
        assert room in chat.live.feeds.rooms()
    await eventually(lambda: not chat.live.edge.clients())
    await chat.live.sweep()
    assert room not in chat.live.feeds.rooms()


async def test_a_ticket_opens_one_socket(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    ticket = ann.ticket()
    async with knock(chat) as first, knock(chat) as second:
        await first.say("hello", ticket=ticket)
        await first.until(op="ready")
        refusal = await second.refused("hello", ticket=ticket)
        assert (refusal["code"], refusal["retry"]) == ("unauthenticated", "after_refresh")
        assert await second.close_code() == 4003


async def test_a_ticket_is_used_up_on_every_process(
    chat: "Chat", other_chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    ticket = ann.ticket()
    async with knock(chat) as first, knock(other_chat) as second:
        await first.say("hello", ticket=ticket)
        await first.until(op="ready")
        assert (await second.refused("hello", ticket=ticket))["code"] == "unauthenticated"


async def test_credentials_that_are_none_are_refused(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    keys = chat.keys
    past = int(time.time()) - 120
    for hello, code in (
        ({"ticket": ann.ticket(exp=past)}, "token_expired"),
        ({"token": keys.access_token(ann.id, exp=past)}, "token_expired"),
        ({"ticket": keys.access_token(ann.id)}, "unauthenticated"),
        ({"token": ann.ticket()}, "unauthenticated"),
        ({"ticket": keys.identity("chat-realtime", "GET", "/", user_id=ann.id)}, "unauthenticated"),
        ({"ticket": ann.ticket(aud="seda-api")}, "unauthenticated"),
        ({"ticket": ann.ticket(iss="somebody")}, "unauthenticated"),
        ({"ticket": ann.ticket(sub="not-an-id")}, "unauthenticated"),
        ({"ticket": "x" * 9000}, "unauthenticated"),
        ({"ticket": ""}, "unauthenticated"),
    ):
        async with knock(chat) as socket:
            assert (await socket.refused("hello", **hello))["code"] == code, hello
            assert await socket.close_code() == 4003


async def test_a_token_opens_a_socket_until_it_ends(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    leeway_seconds = 30
    token = chat.keys.access_token(ann.id, exp=int(time.time()) - leeway_seconds + 3)
    async with knock(chat) as socket:
        await socket.say("hello", token=token)
        await socket.until(op="ready")
        assert await socket.close_code() == 4003


async def test_a_newer_token_keeps_the_socket_open(chat: "Chat", knock: Any) -> None:
    ann, ben = chat.person(), chat.person()
    async with knock(chat) as socket:
        await socket.say("hello", token=chat.keys.access_token(ann.id, exp=int(time.time()) + 30))
        ready = await socket.until(op="ready")
        await socket.until(op="auth.expiring")
        foreign = chat.keys.access_token(ben.id)
        assert (await socket.refused("auth.refresh", token=foreign))["code"] == "unauthenticated"
        renewed = await socket.ask("auth.refresh", token=chat.keys.access_token(ann.id))
        assert renewed["exp"] > ready["exp"]


async def test_a_revoked_session_is_closed_on_every_process_and_stays_out(
    chat: "Chat", other_chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    unused = ann.ticket()
    async with ann.socket() as here, ann.socket(via=other_chat) as there:
        await chat.publish(
            SessionRevoked(
                user_id=ann.id, session_id=ann.session_id, reason="logout", revoked_at=utc_now()
            )
        )
        assert await here.close_code() == await there.close_code() == 4501
    async with knock(chat) as socket:
        refusal = await socket.refused("hello", ticket=unused)
        assert (refusal["code"], refusal["retry"]) == ("unauthenticated", "never")
        assert await socket.close_code() == 4501


async def test_another_session_of_the_same_person_stays(chat: "Chat") -> None:
    ann = chat.person()
    async with ann.socket() as anns:
        chat.live.edge.end_session(ann.id, uuid4())
        await anns.say("hb")
        await anns.until(op="hb.ok")


async def test_no_hello_closes_the_socket(chat: "Chat", start_chat: Any, knock: Any) -> None:
    async with start_chat(hello_timeout_seconds=0.1) as quick, knock(quick) as socket:
        welcome = await socket.until(op="welcome")
        assert welcome["limits"]["frame_bytes"] == 16_384
        assert await socket.close_code() == 4001


async def test_a_silent_client_loses_its_socket(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(heartbeat_seconds=0.1, heartbeat_grace_seconds=0) as quick:
        async with quick.person().socket() as socket:
            assert await socket.close_code() == 4408


async def test_the_oldest_of_too_many_sockets_is_closed(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(sockets_per_user_max=2) as small:
        ann = small.person()
        async with ann.socket() as oldest, ann.socket() as second, ann.socket() as third:
            assert await oldest.close_code() == 4503
            for socket in (second, third):
                await socket.say("hb")
                await socket.until(op="hb.ok")


async def test_draining_gives_everyone_a_moment_and_a_reason(chat: "Chat", start_chat: Any) -> None:
    async with start_chat(drain_window_seconds=0.2) as leaving:
        contexts = [leaving.person().socket() for _ in range(3)]
        sockets = [await context.__aenter__() for context in contexts]
    delays = [(await socket.until(op="drain"))["in_ms"] for socket in sockets]
    assert sorted(delays) == [0, 66, 133]
    assert [await socket.close_code() for socket in sockets] == [4012, 4012, 4012]
    for context in contexts:
        await context.__aexit__(None, None, None)


async def test_frames_that_are_no_commands_end_the_socket(chat: "Chat") -> None:
    ann = chat.person()
    for payload, code in (("{", 4500), ("[" * 10_000, 4500), (b"\x00", 1003), ("x" * 20_000, 1009)):
        async with ann.socket() as socket:
            await socket.connection.send(payload)
            assert await socket.close_code() == code


async def test_a_slow_reader_is_left_out_and_told_so_while_others_hear_everything(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    url = f"ws://127.0.0.1:{chat.live.listener.port}/api/v1/realtime"
    async with ann.socket(room) as anns:
        # A client that stops reading: its queue is small and nobody empties it.
        async with connect(url, compression=None, max_queue=1) as slow:
            await slow.send(_hello(ben.ticket(), room))
            async for message in slow:
                if '"live"' in str(message):
                    break
            slow.transport.pause_reading()
            long_text = "x" * 4000
            last = 0
            for n in range(120):
                last = (await anns.ask("msg.send", room, cid=f"s{n}", text=long_text))["seq"]
            await anns.until(op="ev", seq=last)
            heard = [event["seq"] for event in anns.events(room)]
            assert heard == list(range(last - 119, last + 1))
            audience = chat.live.hub.audience(room)
            assert audience is not None
            assert len(audience.slow) == 1
            slow.transport.resume_reading()
            lagged = None
            async with asyncio.timeout(5):
                async for message in slow:
                    if '"lagged"' in str(message):
                        lagged = message
                        break
            assert str(room) in str(lagged)


def _hello(ticket: str, room: UUID) -> str:
    resume = {"rooms": {str(room): {"ep": "0", "seq": 0}}}
    return json.dumps({"id": 1, "op": "hello", "d": {"ticket": ticket, "resume": resume}})


async def _act(moderator: "Person", room: UUID, kind: str, person: "Person", **more: str) -> None:
    body = {"kind": kind, "reason": "test", "user_id": str(person.id), **more}
    await moderator.ok("POST", f"/chat/rooms/{room}/moderation", json=body)


async def _append_silently(chat: "Chat", room: UUID) -> None:
    """A change that commits and whose live signal is lost."""
    async with chat.db.begin() as tx:
        await tx.execute(
            text(
                """
                WITH head AS (
                    UPDATE chat.room SET last_seq = last_seq + 1 WHERE id = :id
                    RETURNING id, last_seq, acl_epoch)
                INSERT INTO chat.room_log (room_id, seq, type, acl_epoch, data, at)
                SELECT id, last_seq, 'room.updated', acl_epoch, '{}', now() FROM head
                """
            ),
            {"id": room},
        )
