"""Every command of `seda.rt.v1` with odd values in every place: answered, and the socket lives."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from seda_testkit.client import SUBPROTOCOL, Api, CommandRefused, LiveSocket
from websockets.asyncio.client import connect

PASSWORD = "lanterns-over-water-7"
SOCKETS = 10
SECONDS_BETWEEN = 0.055
"""Below the rate of one socket, so that every command is looked at."""
HUGE = 10**30
ODD = (
    None, True, -1, 2**53, 2**63, 2**64, HUGE, 1e308, [], [[]], {}, {"\x00": "\x00"}, "", "\x00",
    "a\x00b", "x" * 8_000, "👩‍👩‍👧‍👦" * 40, "*", str(uuid4()),
    "99999999999999999999999", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip


def commands(room: str, message: str, token: str) -> Iterator[tuple[str, Any, Any]]:
    """Operation, body and room. `typing` may go unanswered by design and is left out."""
    cursor = {"ep": "1", "seq": 1}
    sound: dict[str, dict[str, Any]] = {
        "hello": {"ticket": "x", "token": None, "resume": {"rooms": {room: cursor}}},
        "auth.refresh": {"token": token},
        "room.sub": cursor,
        "room.unsub": {},
        "msg.send": {"cid": "c", "text": "t", "parent_id": None},
        "msg.edit": {"message_id": message, "text": "t"},
        "msg.delete": {"message_id": str(uuid4())},
        "react.add": {"message_id": message, "emoji": "🔥"},
        "react.remove": {"message_id": message, "emoji": "🔥"},
        "read.mark": {"seq": 1},
        "hb": {"n": 1, "t0": 1.5},
        "nothing": {},
    }
    for op, body in sound.items():
        yield op, body, room
        for odd in ODD:
            yield op, odd, room
            yield op, body, odd
            for name in body:
                yield op, body | {name: odd}, room


async def odd_commands(
    socket: LiveSocket, mine: list[tuple[str, Any, Any]], first_id: int
) -> list[str]:
    defects = []
    for number, (op, body, room) in enumerate(mine, first_id):
        what = f"{op} {str(body)[:60]} in {str(room)[:40]}"
        reply = socket._replies[number] = asyncio.get_running_loop().create_future()
        await socket._connection.send(json.dumps({"id": number, "op": op, "d": body, "room": room}))
        try:
            await asyncio.wait_for(reply, 5)
        except CommandRefused as refusal:
            if refusal.code in ("internal", ""):
                defects.append(f"{what}: {refusal}")
        except TimeoutError:
            defects.append(f"{what}: no answer")
        except ConnectionError as error:
            return [*defects, f"{what}: {error}"]
        await asyncio.sleep(SECONDS_BETWEEN)
    return defects


async def test_no_odd_command_ends_a_socket_or_goes_unanswered(running: Any) -> None:
    async with Api.at(running.gateway_url) as api:
        person = await api.sign_up(f"odd-{uuid4().hex[:8]}@demo.example", PASSWORD, "Odd")
        assert person._tokens is not None
        room = (await person.post("/chat/rooms", {"name": "Odd"}))["id"]
        message = await person.post(f"/chat/rooms/{room}/messages", {"text": "hello"})
        every = list(commands(room, message["id"], person._tokens.access_token))

        async def lane(place: int) -> list[str]:
            async with person.socket() as socket:
                return await odd_commands(socket, every[place::SOCKETS], 1_000)

        found = await asyncio.gather(*map(lane, range(SOCKETS)))
    assert len(every) > 500
    assert [defect for defects in found for defect in defects] == []


async def test_an_odd_cursor_in_the_greeting_is_judged_and_nothing_breaks(running: Any) -> None:
    async with Api.at(running.gateway_url) as api:
        person = await api.sign_up(f"odd-{uuid4().hex[:8]}@demo.example", PASSWORD, "Odd")
        room = (await person.post("/chat/rooms", {"name": "Odd"}))["id"]
        for epoch in ("1", "\x00", "", 7):
            for seq in (-1, 0, 2**53, 2**63, HUGE, "1", None):
                ticket = await person.ticket()
                resume = {"rooms": {room: {"ep": epoch, "seq": seq}}}
                async with connect(
                    ticket.url, subprotocols=[SUBPROTOCOL], proxy=None
                ) as connection:
                    await connection.recv()
                    greeting = {"ticket": ticket.ticket, "resume": resume}
                    await connection.send(json.dumps({"id": 1, "op": "hello", "d": greeting}))
                    answer = json.loads(await asyncio.wait_for(connection.recv(), 5))
                    assert answer.get("op") == "ready" or answer["err"]["code"] == "bad_request", (
                        epoch,
                        seq,
                        answer,
                    )
