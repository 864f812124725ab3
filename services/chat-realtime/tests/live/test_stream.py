"""The stream of server-sent events: the same room, rights and bounds as the socket has."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from chat_realtime.live.stream import BUFFER_HIGH_BYTES
from seda_contracts.events.auth import AccountSuspended, SessionRevoked
from seda_contracts.realtime_document import check_server_frame
from seda_runtime.clock import utc_now
from seda_testkit.caller import IDENTITY_HEADER
from seda_testkit.eventually import eventually
from seda_testkit.streams import OpenAnswer, open_answer

if TYPE_CHECKING:
    from ..conftest import Chat, Person

PATH = "/api/v1/chat/stream"


class Stream:
    def __init__(self, answer: OpenAnswer) -> None:
        self.answer = answer

    def blocks(self) -> list[dict[str, str]]:
        whole = self.answer.body.decode().split("\n\n")[:-1]
        return [
            dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            for block in whole
        ]

    @property
    def frames(self) -> list[dict[str, Any]]:
        found = [
            json.loads(block["data"])
            for block in self.blocks()
            if "data" in block and block.get("event") is None
        ]
        for frame in found:
            check_server_frame(frame, reply_to=None)
        return found

    @property
    def last_event_id(self) -> str:
        return [block["id"] for block in self.blocks() if "id" in block][-1]

    def events(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["op"] == "ev"]

    async def until(self, **wanted: Any) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            for frame in self.frames:
                if all(frame.get(name) == value for name, value in wanted.items()):
                    return frame
            return None

        return await eventually(found)

    async def close(self) -> int:
        """The code of the last event, once the stream has ended."""
        await eventually(lambda: self.answer.has_ended)
        last = self.blocks()[-1]
        assert last["event"] == "close"
        return int(json.loads(last["data"])["code"])


@asynccontextmanager
async def stream(
    person: "Person",
    *rooms: object,
    via: "Chat | None" = None,
    last_event_id: str | None = None,
    **who: Any,
) -> AsyncIterator[Stream]:
    chat = via or person.chat
    known: dict[str, Any] = {
        "user_id": person.id,
        "session_id": person.session_id,
        "role": person.role,
    }
    headers = {IDENTITY_HEADER: chat.keys.identity("chat-realtime", "GET", PATH, **known, **who)}
    if last_event_id is not None:
        headers["last-event-id"] = last_event_id
    query = [("room", str(room)) for room in rooms]
    async with open_answer(chat.app, PATH, query=query, headers=headers) as answer:
        yield Stream(answer)


async def test_a_stream_and_a_socket_hear_the_same_room(chat: "Chat", other_chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with stream(ann, room) as anns, ben.socket(room, via=other_chat) as bens:
        assert anns.answer.headers["content-type"].startswith("text/event-stream")
        assert (await anns.until(op="ready"))["user"] == str(ann.id)
        await anns.until(op="live", room=str(room))
        by_ben = await bens.ask("msg.send", room, cid="1", text="from the socket")
        by_ann = await ann.post(room, "from the stream")
        told = await anns.until(op="ev", seq=by_ann["seq"])
        heard = await bens.until(op="ev", seq=by_ann["seq"])
        assert told == heard
        assert anns.events() == [by_ben["seq"], by_ann["seq"]]
        await bens.ask("typing", room)
        await anns.until(op="ep", t="typing")
        await ann.ok("POST", f"/chat/rooms/{room}/typing")
        typed = await bens.until(op="ep", t="typing", d={"user_id": str(ann.id)})
        assert typed["room"] == str(room)
    await eventually(lambda: not chat.live.edge.is_here(ann.id))


async def test_typing_is_hinted_once_in_a_while_and_only_by_members(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    room = await ann.room(is_private=True)
    async with ann.socket(room) as anns:
        for _ in range(50):
            await ann.ok("POST", f"/chat/rooms/{room}/typing")
        refused = await eve.ask("POST", f"/chat/rooms/{room}/typing")
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        posted = await ann.post(room, "after all of them")
        await anns.until(op="ev", seq=posted["seq"])
        assert len([frame for frame in anns.heard if frame.get("op") == "ep"]) == 1


async def test_the_last_event_id_goes_on_without_a_loss_on_another_process(
    chat: "Chat", other_chat: "Chat"
) -> None:
    ann, ben = chat.person(), chat.person()
    first, second = await ben.room(ann), await ben.room(ann)
    async with stream(ann, first, second) as before:
        await before.until(op="live", room=str(second))
        one = await ben.post(first, "seen")
        await before.until(op="ev", seq=one["seq"], room=str(first))
        place = before.last_event_id
    missed = [(await ben.post(first, f"missed {n}"))["seq"] for n in range(60)]
    other = await ben.post(second, "missed too")
    async with stream(ann, first, second, via=other_chat, last_event_id=place) as after:
        live = await ben.post(first, "live again")
        await after.until(op="ev", seq=live["seq"], room=str(first))
        await after.until(op="ev", seq=other["seq"], room=str(second))
        ready = await after.until(op="ready")
        assert [room["result"] for room in ready["rooms"]] == ["replay", "replay"]
        seqs = [f["seq"] for f in after.frames if f["op"] == "ev" and f["room"] == str(first)]
        assert seqs == [*missed, live["seq"]]
    async with stream(ann, f"{first}:1:{one['seq']}") as by_query:
        await by_query.until(op="ev", seq=live["seq"])
        assert by_query.events() == [*missed, live["seq"]]


async def test_attack_057_a_private_room_of_others_is_no_room(chat: "Chat") -> None:
    ann, eve = chat.person(), chat.person()
    private, public = await ann.room(is_private=True), await ann.room()
    answers = []
    for room in (private, uuid4()):
        async with stream(eve, room) as refused:
            problem = json.loads(refused.answer.body)
            answers.append((refused.answer.status, problem["code"], problem["detail"]))
    assert answers[0] == answers[1]
    assert answers[0][:2] == (404, "not_found")
    async with stream(eve, public) as refused:
        assert refused.answer.status == 403
        assert json.loads(refused.answer.body)["code"] == "not_member"
    mine = await eve.room()
    async with stream(eve, private, mine) as eves:
        ready = await eves.until(op="ready")
        assert [room["result"] for room in ready["rooms"]] == ["gone", "current"]
        await eves.until(op="live", room=str(mine))
        await ann.post(private, "secret")
        posted = await eve.post(mine, "own")
        await eves.until(op="ev", seq=posted["seq"], room=str(mine))
        assert b"secret" not in eves.answer.body
    assert chat.live.edge.streams_count == 0


async def test_attack_058_a_removed_member_loses_the_room_and_keeps_the_stream(
    chat: "Chat",
) -> None:
    ann, ben = chat.person(), chat.person()
    room, kept = await ann.room(ben), await ann.room(ben)
    async with stream(ben, room, kept) as bens:
        await bens.until(op="live", room=str(kept))
        act = {"kind": "kick", "user_id": str(ben.id), "reason": "spam"}
        await ann.ok("POST", f"/chat/rooms/{room}/moderation", json=act)
        later = await ann.post(room, "not for him")
        assert (await bens.until(op="unsub", room=str(room)))["reason"] == "kicked"
        posted = await ann.post(kept, "for him")
        await bens.until(op="ev", seq=posted["seq"], room=str(kept))
        heard = [f["seq"] for f in bens.frames if f["op"] == "ev" and f["room"] == str(room)]
        assert later["seq"] not in heard


async def test_a_revoked_session_and_a_suspended_person_end_their_streams(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with stream(ann, room) as anns, stream(ben, room) as bens:
        await anns.until(op="live")
        await bens.until(op="live")
        await chat.publish(
            SessionRevoked(
                user_id=ann.id, session_id=ann.session_id, reason="logout", revoked_at=utc_now()
            )
        )
        await chat.publish(
            AccountSuspended(
                user_id=ben.id, suspended_by=uuid4(), suspended_at=utc_now(), perm_version=1
            )
        )
        assert await anns.close() == 4501
        assert await bens.close() == 4504
    async with stream(ann, room) as again:
        assert again.answer.status == 401
    async with stream(ben, room) as again:
        assert again.answer.status == 403
        assert json.loads(again.answer.body)["code"] == "banned"


async def test_a_stream_ends_with_the_token_it_was_opened_with(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    until = int(utc_now().timestamp()) + 2
    async with stream(ann, room, until=until) as anns:
        await anns.until(op="auth.expiring")
        assert await anns.close() == 4003


async def test_a_reader_that_stops_costs_no_memory_is_told_and_then_cut(
    chat: "Chat", start_chat: Any
) -> None:
    # Nobody may say all of this alone.
    ann, ben, cleo = chat.person(), chat.person(), chat.person()
    room = await ann.room(ben, cleo)
    async with (
        start_chat(stall_seconds_max=2) as patient,
        stream(ben, room, via=patient) as slow,
        ann.socket(room, via=patient) as healthy,
    ):
        await slow.until(op="live")
        slow.answer.stop_reading()
        line = patient.live.edge.lines_of(ben.id)[0]
        last = await flood(ann, room, healthy)
        assert line.is_stalled
        assert line.waiting_bytes < 2 * BUFFER_HIGH_BYTES
        slow.answer.go_on_reading()
        lagged = await slow.until(op="lagged")
        assert lagged["from"] < last
        seen = slow.last_event_id
        more = await ann.post(room, "after the hole")
        await slow.until(op="ev", seq=more["seq"])
        assert slow.last_event_id == seen

        slow.answer.stop_reading()
        await flood(cleo, room, healthy)
        await eventually(lambda: not patient.live.edge.is_here(ben.id))
        await eventually(lambda: patient.live.edge.streams_count == 0)
    async with stream(ben, room, last_event_id=seen) as again:
        await again.until(op="ev", seq=more["seq"])
        seqs = again.events()
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
        assert seqs[0] == lagged["from"] + 1


async def flood(ann: "Person", room: UUID, healthy: Any) -> int:
    """More than any buffer of a stream holds; the healthy member hears all of it."""
    sent = await asyncio.gather(*(ann.post(room, "x" * 4000) for _ in range(45)))
    last = max(message["seq"] for message in sent)
    await healthy.until(op="ev", seq=last)
    return int(last)


async def test_streams_are_bounded_for_a_process_and_counted_with_the_sockets_of_a_person(
    chat: "Chat", start_chat: Any
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ann.room(ben)
    async with start_chat(streams_max=2, sockets_per_user_max=1) as small:
        async with stream(ann, room, via=small) as first:
            await first.until(op="live")
            async with ann.socket(room, via=small):
                assert await first.close() == 4503
        async with stream(ann, room, via=small) as one, stream(ben, room, via=small) as two:
            await one.until(op="live")
            await two.until(op="live")
            async with stream(ben, room, via=small) as refused:
                assert refused.answer.status == 503
                assert json.loads(refused.answer.body)["code"] == "busy"


async def test_a_process_that_stops_drains_its_streams(chat: "Chat", start_chat: Any) -> None:
    ann = chat.person()
    room = await ann.room()
    async with start_chat() as going, stream(ann, room, via=going) as anns:
        await anns.until(op="live")
        going.app.state.stopping.begin()
        await anns.until(op="drain")
        assert await anns.close() == 4012
        async with stream(ann, room, via=going) as refused:
            assert refused.answer.status == 503


async def test_a_silent_stream_is_kept_alive(chat: "Chat", start_chat: Any) -> None:
    ann = chat.person()
    room = await ann.room()
    async with (
        start_chat(stream_keepalive_seconds=0.05) as lively,
        stream(ann, room, via=lively) as anns,
    ):
        await eventually(lambda: anns.answer.body.count(b":\n\n") >= 2)


async def test_unsound_requests_open_no_stream(chat: "Chat") -> None:
    ann = chat.person()
    room = await ann.room()
    unsound: tuple[tuple[tuple[object, ...], str | None], ...] = (
        ((), None),
        (("x",), None),
        ((f"{room}:1:-4",), None),
        ((room,), "forged"),
        (tuple(uuid4() for _ in range(101)), None),
    )
    for rooms, last in unsound:
        async with stream(ann, *rooms, last_event_id=last) as refused:
            assert refused.answer.status == 400, rooms
    async with stream(ann, f"{room}:1:{2**53}", f"{await ann.room()}:other:1") as anns:
        ready = await anns.until(op="ready")
        assert [found["result"] for found in ready["rooms"]] == ["snapshot", "snapshot"]
