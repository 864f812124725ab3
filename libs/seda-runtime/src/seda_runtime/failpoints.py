"""Named places where a process can be made to die, stop or fail, so that tests reach the windows of
a millisecond that random kills do not.

`SEDA_FAILPOINT=outbox.after_commit:kill:0.05` kills the process at that place one time in twenty;
several are separated by commas. Nothing is armed by default, and production refuses to start with
one.
"""

import os
import random
import signal
from typing import Literal, get_args

import msgspec

Action = Literal["kill", "stop", "error"]


class FailpointReached(RuntimeError):
    """What the action `error` raises: a fault nobody foresaw."""


class Failpoint(msgspec.Struct, frozen=True):
    """What happens at one place, and how often."""

    action: Action
    probability: float


_armed: dict[str, Failpoint] = {}


def parse_failpoints(text: str) -> dict[str, Failpoint]:
    """`name:action:probability`, separated by commas. Raises ValueError naming what is wrong."""
    found: dict[str, Failpoint] = {}
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition(":")
        action, _, share = rest.partition(":")
        if not name or action not in get_args(Action):
            raise ValueError(f"{part!r} is not name:kill|stop|error:probability")
        try:
            probability = float(share)
        except ValueError:
            probability = -1.0
        if not 0 <= probability <= 1:
            raise ValueError(f"the probability of {name} is not between 0 and 1")
        found[name] = Failpoint(msgspec.convert(action, Action), probability)
    return found


def arm_failpoints(text: str | None) -> None:
    """Replace what is armed in this process. None disarms everything. Raises ValueError."""
    _armed.clear()
    _armed.update(parse_failpoints(text or ""))


def failpoint(name: str) -> None:
    """Do here what is armed for `name`; without an armed one this is one look into a dict.

    Raises FailpointReached for `error`.
    """
    point = _armed.get(name)
    if point is None or random.random() >= point.probability:
        return
    if point.action == "error":
        raise FailpointReached(name)
    os.kill(os.getpid(), signal.SIGKILL if point.action == "kill" else signal.SIGSTOP)
