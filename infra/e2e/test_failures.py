"""Killed while people talk: what was acknowledged is there, once, in order."""

import asyncio
import os
import signal
from typing import Any
from uuid import uuid4

from seda_testkit.client import Api, ApiError
from seda_testkit.eventually import eventually

PASSWORD = "lanterns-over-water-7"
BACK_SECONDS_MAX = 40


async def a_room(api: Api) -> tuple[Api, str]:
    owner = await api.sign_up(f"owner-{uuid4().hex[:8]}@demo.example", PASSWORD, "Owner")
    room = await owner.post("/chat/rooms", {"name": "Under fire"})
    return owner, str(room["id"])


async def post_until_told(person: Api, room: str, text: str) -> bool:
    """Send with one permanent id until there is an answer, as a client does."""
    body = {"text": text, "cid": str(uuid4())}

    async def try_once() -> bool:
        try:
            await person.post(f"/chat/rooms/{room}/messages", body)
        except ApiError as error:
            if error.status < 500:
                raise
            return False
        except OSError:
            return False
        return True

    return bool(await eventually(try_once, timeout_seconds=BACK_SECONDS_MAX))


async def texts(person: Api, room: str) -> list[str]:
    page = await person.get(f"/chat/rooms/{room}/messages", limit=100)
    return [str(message["text"]) for message in page["items"]]


async def sequence(person: Api, room: str) -> list[int]:
    page = await person.get(f"/chat/rooms/{room}/events", after_seq=0)
    return [int(event["seq"]) for event in page["items"]]


async def check_nothing_is_lost(person: Api, room: str, sent: list[str]) -> None:
    there = await texts(person, room)
    assert sorted(there) == sorted(sent), "an acknowledged message is lost or doubled"
    seen = await sequence(person, room)
    assert seen == list(range(1, len(seen) + 1)), "the room log has a hole"


async def test_chat_killed_under_load_loses_and_doubles_nothing(running: Any, api: Api) -> None:
    owner, room = await a_room(api)
    sent = [f"message {number}" for number in range(40)]

    async def kill_in_the_middle() -> None:
        await asyncio.sleep(0.1)
        os.killpg(running.pid("chat-realtime"), signal.SIGKILL)

    killing = asyncio.create_task(kill_in_the_middle())
    for group in range(0, 40, 8):
        await asyncio.gather(
            *(post_until_told(owner, room, text) for text in sent[group : group + 8])
        )
    await killing
    await check_nothing_is_lost(owner, room, sent)


async def test_a_broker_killed_under_load_delays_cards_and_loses_none(
    running: Any, api: Api
) -> None:
    owner, room = await a_room(api)
    nats = next(w.server for w in running.platform.servers.embedded if w.name == "nats")
    os.kill(nats.pid, signal.SIGKILL)
    run = uuid4().hex[:8]
    links = [f"http://tunes.example/track/{number}?from={run}" for number in (2, 3, 4)]
    for link in links:
        assert await post_until_told(owner, room, link)

    async def all_have_cards() -> bool:
        page = await owner.get(f"/chat/rooms/{room}/messages")
        return len(page["items"]) == 3 and all(m["cards"] for m in page["items"])

    await eventually(all_have_cards, timeout_seconds=BACK_SECONDS_MAX)
    await check_nothing_is_lost(owner, room, links)


async def test_a_killed_database_comes_back_with_every_acknowledged_message(
    running: Any, api: Api
) -> None:
    owner, room = await a_room(api)
    postgres = next(w.server for w in running.platform.servers.embedded if w.name == "postgres")
    sent = [f"before {number}" for number in range(10)]
    for text in sent:
        await post_until_told(owner, room, text)
    os.kill(postgres.pid, signal.SIGKILL)
    sent += (late := [f"after {number}" for number in range(10)])
    for text in late:
        await post_until_told(owner, room, text)
    await check_nothing_is_lost(owner, room, sent)
