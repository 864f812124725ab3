"""What is done to the platform, and when. A plan is data: made from a seed, printed, done again."""

import asyncio
import random
from dataclasses import dataclass
from typing import Literal

from seda_faults.stage import Stage

SERVERS = ("nats", "postgres")

Deed = Literal["kill", "freeze", "restart", "away"]


@dataclass(frozen=True, slots=True)
class Fault:
    """`seconds` is how long a frozen process stays frozen, or a server away."""

    at_seconds: float
    deed: Deed
    target: str
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at_seconds:.1f} s: {self.deed} {self.target}{lasting}"


async def unleash(stage: Stage, faults: list[Fault]) -> None:
    """Do everything in its time; returns when all that can be healed is."""
    async with asyncio.TaskGroup() as tasks:
        for fault in faults:
            tasks.create_task(_do(stage, fault))


async def _do(stage: Stage, fault: Fault) -> None:
    await asyncio.sleep(fault.at_seconds)
    match fault.deed:
        case "kill":
            stage.kill(fault.target)
        case "restart":
            await stage.restart(fault.target)
        case "freeze":
            stage.freeze(fault.target)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                stage.thaw(fault.target)
        case "away":
            async with stage.away(fault.target):
                await asyncio.sleep(fault.seconds)


def random_faults(seed: int, targets: tuple[str, ...], *, seconds: float) -> list[Fault]:
    """One deed every second or two against anybody. They overlap, so faults combine."""
    choices = random.Random(seed)
    faults: list[Fault] = []
    at_seconds = 1.0
    while at_seconds < seconds - 4:
        target = choices.choice((*targets, *SERVERS, *SERVERS))
        deeds: tuple[Deed, ...] = ("kill", "freeze", "restart")
        if target in SERVERS:
            deeds = (*deeds, "away", "away")
        deed = choices.choice(deeds)
        lasting = choices.uniform(0.5, 3.0) if deed in ("freeze", "away") else 0.0
        faults.append(Fault(round(at_seconds, 1), deed, target, round(lasting, 1)))
        at_seconds += choices.uniform(0.8, 2.0)
    return faults
