"""People who are kicked while processes cannot hear of it, and what they still hear."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from seda_testkit.client import Api, LiveSocket
from seda_testkit.eventually import eventually

from seda_faults.listening import Listener
from seda_faults.load import Crowd, until_told

KICK_SECONDS_MAX = 30.0
BEFORE_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Kick:
    """`via` is the process the moderator is connected to: 0 is the first."""

    at_seconds: float
    via: int

    def __str__(self) -> str:
        return f"{self.at_seconds:.1f} s: kick somebody by process {self.via + 1} of chat"


class Victim:
    """Listens to one room on every process, and asks for it again whatever it is told."""

    def __init__(self, api: Api, room: str, crowd: Crowd, name: str) -> None:
        self.room = room
        self.user_id = api.user_id
        self.key = f"{room} {api.user_id}"
        heard = crowd.history.removed.setdefault(self.key, {})
        self.listeners = [
            Listener(api, {room: heard.setdefault(f"{name} on process {number}", [])}, url)
            for number, url in enumerate(crowd.socket_urls, start=1)
        ]

    @classmethod
    async def join(cls, crowd: Crowd, number: int) -> Self:
        name = f"victim{number}"
        room = crowd.rooms[number % len(crowd.rooms)]
        return cls(await crowd.let_in(name, room), room, crowd, name)


async def until_listening(victims: Sequence[Victim]) -> None:
    """On every process, or a kick would prove nothing where nobody could hear anything later."""

    def listening() -> bool:
        return all(each.socket is not None for victim in victims for each in victim.listeners)

    await eventually(listening, timeout_seconds=BEFORE_SECONDS_MAX, poll_seconds=0.1)


async def kick_all(crowd: Crowd, victims: Sequence[Victim], kicks: Sequence[Kick]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for victim, kick in zip(victims, kicks, strict=True):
            tasks.create_task(_kick(crowd, victim, kick))


async def _kick(crowd: Crowd, victim: Victim, kick: Kick) -> None:
    await asyncio.sleep(kick.at_seconds)
    moderator = crowd.people[0].api
    operation = crowd.history.invoke("kick", victim.key)

    async def attempt() -> None:
        ticket = await moderator.ticket()
        url = crowd.socket_urls[kick.via]
        async with LiveSocket.open(url, ticket=ticket.ticket) as socket:
            wanted = {"user_id": victim.user_id, "reason": "It is time to go."}
            await socket.command("mod.kick", wanted, room=victim.room)

    with suppress(TimeoutError):
        async with asyncio.timeout(KICK_SECONDS_MAX):
            await until_told(operation, attempt)
    if operation.outcome == "invoked":
        operation.outcome = "info"
