"""Coming back, falling behind, and signals that got lost: nothing is missed, nothing twice."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from chat_realtime.log import operations as log_operations
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat, Person, Socket


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
    await _append_silently(chat, room, entries=510)
    head = (await ann.ok("GET", f"/chat/rooms/{room}"))["last_seq"]
    async with ann.socket(resume={str(room): {"ep": "1", "seq": head - 501}}) as anns:
        assert anns.ready["rooms"][0]["result"] == "snapshot"
    async with ann.socket(resume={str(room): {"ep": "1", "seq": head - 500}}) as anns:
        assert (anns.ready["rooms"][0]["result"], anns.ready["rooms"][0]["n"]) == ("replay", 500)
        await anns.until(op="live")
        assert [e["seq"] for e in anns.events(room)] == list(range(head - 499, head + 1))


async def test_a_process_far_behind_sends_everyone_to_the_log(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket(room) as anns:
        head = anns.live_head()
        await _append_silently(chat, room, entries=600)
        await chat.live.sweep()
        lagged = await anns.until(op="lagged", room=str(room))
        assert lagged["from"] == head
        sent = await anns.ask("msg.send", room, cid="c", text="goes on")
        await anns.until(op="ev", seq=sent["seq"])


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
        head = anns.live_head()
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


async def test_rooms_somebody_was_removed_from_are_let_go_too(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ben.socket(room) as bens:
        await _act(ann, room, "kick", ben)
        await bens.until(op="unsub")
        await chat.live.sweep()
        assert room not in chat.live.feeds.rooms()


async def _act(moderator: "Person", room: UUID, kind: str, person: "Person", **more: str) -> None:
    body = {"kind": kind, "reason": "test", "user_id": str(person.id), **more}
    await moderator.ok("POST", f"/chat/rooms/{room}/moderation", json=body)


async def _append_silently(chat: "Chat", room: UUID, entries: int = 1) -> None:
    """Changes that commit and whose live signals are lost."""
    async with chat.db.begin() as tx:
        await tx.execute(
            text(
                """
                WITH head AS (
                    UPDATE chat.room SET last_seq = last_seq + :entries WHERE id = :id
                    RETURNING id, last_seq, acl_epoch)
                INSERT INTO chat.room_log (room_id, seq, type, acl_epoch, data, at)
                SELECT id, last_seq - n, 'room.updated', acl_epoch, '{}', now()
                FROM head, generate_series(0, :entries - 1) AS n
                """
            ),
            {"id": room, "entries": entries},
        )


@pytest.mark.parametrize("seq", [-1, 2**63, 2**70, "1", 1.5, None])
async def test_a_cursor_that_is_no_number_of_a_log_is_a_malformed_hello_or_a_snapshot(
    chat: "Chat", knock: Any, seq: Any
) -> None:
    ann = chat.person()
    room = await ann.room()
    async with knock(chat) as socket:
        cursors = {str(room): {"ep": "1", "seq": seq}}
        await socket.say("hello", ticket=ann.ticket(), resume={"rooms": cursors})
        if seq in (2**63, 2**70):
            assert (await socket.until(op="ready"))["rooms"][0]["result"] == "snapshot"
        else:
            frame = await socket.until(id=1)
            assert frame["err"]["code"] == "bad_request"
            assert socket.events(room) == []


async def test_every_result_is_the_same_on_a_process_that_never_saw_the_room(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    rooms = [await ann.room(ben) for _ in range(3)]
    private = await ann.room(is_private=True)
    missed, current, forged = rooms
    for room in rooms:
        await ann.post(room)
    heads = {room: (await ann.ok("GET", f"/chat/rooms/{room}"))["last_seq"] for room in rooms}
    cursors = {
        str(missed): {"ep": "1", "seq": heads[missed] - 2},
        str(current): {"ep": "1", "seq": heads[current]},
        str(forged): {"ep": "1", "seq": heads[forged] + 1},
        str(private): {"ep": "1", "seq": 1},
    }
    heard = []
    for process in (chat, other_chat):
        async with ben.socket(via=process, resume=cursors) as bens:
            for room in rooms:
                await bens.until(op="live", room=str(room))
            heard.append((bens.ready["rooms"], [bens.events(room) for room in rooms]))
    assert heard[0] == heard[1]
    results = [state["result"] for state in heard[0][0]]
    assert results == ["replay", "current", "snapshot", "gone"]
    assert [event["seq"] for event in heard[0][1][0]] == [heads[missed] - 1, heads[missed]]


async def test_a_subscription_with_a_cursor_from_elsewhere_is_told_to_take_a_snapshot(
    chat: "Chat",
) -> None:
    ann = chat.person()
    room = await ann.room()
    async with ann.socket() as anns:
        for ep, seq in (("0", 1), ("1", 10_000)):
            assert (await anns.ask("room.sub", room, ep=ep, seq=seq))["result"] == "snapshot"
            await anns.until(op="live")


async def test_who_comes_back_to_a_followed_room_is_served_from_memory(
    chat: "Chat", monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    reads = _count_reads(monkeypatch)
    async with ann.socket(room) as anns:
        start = anns.live_head()
        for n in range(5):
            sent = await anns.ask("msg.send", room, cid=f"n{n}", text="x")
        await anns.until(op="ev", seq=sent["seq"])
        async with ben.socket(resume={str(room): {"ep": "1", "seq": start}}) as bens:
            await bens.until(op="live")
            assert bens.events(room) == anns.events(room)
        assert reads == []


async def test_a_room_new_to_the_process_is_read_once_for_all_who_come_back(
    chat: "Chat", monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = chat.person()
    people = [chat.person() for _ in range(8)]
    room = await ann.room(*people)
    start = (await ann.post(room))["seq"]
    await ann.post(room)
    reads = _count_reads(monkeypatch)
    cursor = {str(room): {"ep": "1", "seq": start}}
    async with contextlib.AsyncExitStack() as stack:
        opening = (stack.enter_async_context(each.socket(resume=cursor)) for each in people)
        for socket in await asyncio.gather(*opening):
            await socket.until(op="live")
            assert [event["seq"] for event in socket.events(room)] == [start + 1]
    assert len(reads) == 1


async def test_words_that_were_deleted_meanwhile_are_not_handed_out_from_memory(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns:
        start = anns.live_head()
        sent = await anns.ask("msg.send", room, cid="c", text="secret")
        await anns.ask("msg.edit", room, message_id=sent["msg"], text="secret still")
        gone = await anns.ask("msg.delete", room, message_id=sent["msg"])
        await anns.until(op="ev", seq=gone["seq"])
        async with ben.socket(resume={str(room): {"ep": "1", "seq": start}}) as bens:
            await bens.until(op="live")
            assert bens.events(room) == await ann.events(room, after_seq=start)
            assert len(bens.events(room)) == 3
            assert "secret" not in str(bens.heard)


async def test_who_was_removed_gets_nothing_from_memory(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns:
        start = anns.live_head()
        await _act(ann, room, "kick", ben)
        await anns.until(op="ev", t="member.kicked")
        async with ben.socket(resume={str(room): {"ep": "1", "seq": start}}) as bens:
            assert bens.ready["rooms"][0]["result"] == "gone"
            await bens.say("hb")
            await bens.until(op="hb.ok")
            assert bens.events(room) == []


async def test_what_memory_did_not_hear_comes_from_the_log(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with ann.socket(room) as anns:
        start = anns.live_head()
        await _append_silently(chat, room, entries=3)
        async with ben.socket(resume={str(room): {"ep": "1", "seq": start}}) as bens:
            await bens.until(op="live")
            assert [event["seq"] for event in bens.events(room)] == [start + n for n in (1, 2, 3)]


async def test_many_rooms_keep_their_bound_and_everybody_gets_what_they_missed(
    start_chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rooms of 24 KB where all may keep 80: some are read from the log, none is wrong."""
    limits = {"rings_bytes_max": 80_000, "ring_bytes_max": 65_536, "commands_burst": 1_000}
    async with start_chat(**limits) as chat:
        ann, ben = chat.person(), chat.person()
        rooms = [await ann.room(ben) for _ in range(10)]
        async with ann.socket(*rooms) as anns:
            starts = {str(room): {"ep": "1", "seq": anns.live_head()} for room in rooms}
            for n in range(8):
                for room in rooms:
                    sent = await anns.ask("msg.send", room, cid=f"{room}{n}", text=f"{n}" * 3_000)
            await anns.until(op="ev", room=str(room), seq=sent["seq"])
            kept = chat.live.feeds.rings
            assert 40_000 < kept.bytes <= kept.bytes_max
            for _ in range(2):
                async with ben.socket(resume=starts) as bens:
                    for _room in rooms:
                        await bens.until(op="live")
                    for room in rooms:
                        assert bens.events(room) == anns.events(room)
                        assert len(bens.events(room)) == 8
                assert kept.bytes <= kept.bytes_max
            # Who was read last was kept: there the log is not asked.
            reads = _count_reads(monkeypatch)
            last = str(rooms[-1])
            async with ben.socket(resume={last: starts[last]}) as bens:
                await bens.until(op="live")
                assert len(bens.events(rooms[-1])) == 8
            assert reads == []


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The rooms whose log is read from here on."""
    read: list[UUID] = []
    missed = log_operations.missed

    async def counted(tx: Any, room_id: UUID, **options: Any) -> Any:
        read.append(room_id)
        return await missed(tx, room_id, **options)

    monkeypatch.setattr(log_operations, "missed", counted)
    return read
