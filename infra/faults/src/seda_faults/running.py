"""One run: set the stage, let people live, break things, wait until it is quiet, judge."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from seda_testkit.client import Api

from seda_faults.checker import Verdict, check
from seda_faults.ghosts import Ghost, look_for, until_long_gone, until_shown
from seda_faults.load import Crowd
from seda_faults.nemesis import Fault, unleash
from seda_faults.removals import Kick, Victim, kick_all, until_listening
from seda_faults.snapshot import Reader, Waiting
from seda_faults.stage import Casting, Stage

PEOPLE = 6
ROOMS = 3
DRAIN_SECONDS = 10.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Script:
    """What happens in a run. `load_seconds` is how long people act; the faults lie inside it."""

    name: str
    faults: list[Fault]
    load_seconds: float
    failpoints: dict[str, str] = field(default_factory=dict)
    chat_processes: int = 1
    kicks: list[Kick] = field(default_factory=list)
    ghosts: tuple[int, ...] = ()
    """The processes of chat, 0 for the first, on which somebody stays when they die."""


@dataclass(frozen=True, slots=True)
class Result:
    script: Script
    seed: int
    mutant: str | None
    seconds: float
    drained_seconds: float | None
    """From the moment everything was healed; none when something was left."""
    faults_injected: int
    """Planned ones, and processes that died at a failpoint."""
    verdict: Verdict


async def run(
    script: Script,
    prepared: Path,
    folder: Path,
    *,
    seed: int,
    mutant: str | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """`prepared` is what `stage.prepare` made; the run works on a copy of it in `folder`."""
    started = time.monotonic()
    casting = Casting(script.failpoints, mutant)
    async with (
        Stage.set_up(prepared, folder, casting, chat_processes=script.chat_processes) as stage,
        Api.at(stage.wiring.gateway_url) as api,
    ):
        crowd = Crowd(api, seed, stage.socket_urls)
        await crowd.gather(people=PEOPLE, rooms=ROOMS)
        victims = [await Victim.join(crowd, number) for number in range(len(script.kicks))]
        ghosts = [await Ghost.join(crowd, process) for process in script.ghosts]
        listeners = [*crowd.devices(), *(each for victim in victims for each in victim.listeners)]
        lives = [*(listener.follow() for listener in listeners), *(each.live() for each in ghosts)]
        background = [asyncio.create_task(life) for life in lives]
        try:
            await until_listening(victims)
            await until_shown(crowd, ghosts)
            background.append(asyncio.create_task(look_for(crowd, ghosts)))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(crowd.live(script.load_seconds))
                tasks.create_task(unleash(stage, script.faults))
                tasks.create_task(kick_all(crowd, victims, script.kicks))
            faults_injected = _injected(script, stage.restarts())
            await stage.disarm()
            await stage.until_whole()
            async with stage.reader() as reader:
                drained = await _drain(reader, crowd, drain_seconds, say)
                await until_long_gone(ghosts)
                snapshot = await reader.read()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
        return Result(
            script,
            seed,
            mutant,
            time.monotonic() - started,
            drained,
            faults_injected,
            check(crowd.history, snapshot),
        )


def _injected(script: Script, restarts: int) -> int:
    planned_restarts = sum(fault.deed != "freeze" for fault in script.faults)
    return len(script.faults) + max(0, restarts - planned_restarts)


async def _drain(
    reader: Reader, crowd: Crowd, seconds: float, say: Callable[[str], None]
) -> float | None:
    """How long it took until nothing was on its way and every listener had seen every entry."""
    started = time.monotonic()
    quiet_before = False
    told = ""
    while (passed := time.monotonic() - started) < seconds:
        waiting: Waiting = await reader.waiting()
        unseen = await _unseen(reader, crowd)
        quiet = waiting.total == 0 and not unseen
        if (now := f"{waiting}, {unseen} listeners behind") != told:
            say(f"    {passed:4.1f} s: waiting for {now}")
            told = now
        # Twice: an event may have moved on between the look at its source and at its target.
        if quiet and quiet_before:
            return passed
        quiet_before = quiet
        await asyncio.sleep(POLL_SECONDS)
    return None


async def _unseen(reader: Reader, crowd: Crowd) -> int:
    """How many listeners have not seen the newest entry of a room."""
    heads = await reader.heads()
    return sum(
        not seen or seen[-1] < heads[room]
        for rooms in crowd.history.seen.values()
        for room, seen in rooms.items()
    )
