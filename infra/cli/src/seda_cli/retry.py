"""Giving a dead letter back: publish it where it came from, then delete the letter.

Killed between the two, it is published again by the next try. The broker drops that copy within
its window (`Nats-Msg-Id` is the letter's number), and later the inboxes and versions of consumers
do: the event keeps its id. So no effect happens twice.
"""

from typing import Literal

import msgspec
from seda_contracts.base import State
from seda_contracts.registry import BY_TYPE
from seda_runtime.failpoints import failpoint

from seda_cli import stored
from seda_cli.broker import ANSWER_SECONDS_MAX, Broker
from seda_cli.letters import LETTERS, POINTER_MARK, POINTERS, Found
from seda_cli.sighting import contract_of, problem_of, type_of

Outcome = Literal["given_back", "was_given_back", "refused", "failed"]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `seda dlq retry --json`."""

    number: str
    outcome: Outcome
    detail: str
    """Where it is stored now, or why not."""


async def give_back(broker: Broker, found: Found) -> Retried:
    """Publish and delete. Refuses what would only die again. Raises CommandFailed."""
    number = found.letter.number
    last = await last_snapshot(broker, found)
    hindrance = why_not(found, last)
    if hindrance is not None:
        return Retried(number=number, outcome="refused", detail=hindrance)
    headers = {
        name: value
        for name, value in found.headers.items()
        if not name.lower().startswith(("seda-dead-", "nats-"))
    }
    headers["Nats-Msg-Id"] = f"retry:{number}"
    if _is_snapshot(found):
        # A newer one that is stored between the look and this must not be replaced.
        headers["Nats-Expected-Last-Subject-Sequence"] = str(last.sequence if last else 0)
    publishing = broker.client.jetstream(timeout=ANSWER_SECONDS_MAX).publish(
        found.letter.subject, found.body, headers=headers
    )
    kept = await broker.answer(publishing)
    failpoint("dlq.after_publish")
    await clear(broker, found)
    outcome: Outcome = "was_given_back" if kept.duplicate else "given_back"
    return Retried(number=number, outcome=outcome, detail=f"{kept.stream} {kept.seq}")


async def clear(broker: Broker, found: Found) -> None:
    """Delete what tells of the failure; the letter itself last, so that a kill loses nothing."""
    for sequence in found.pointers:
        await broker.api(f"STREAM.MSG.DELETE.{POINTERS}", {"seq": sequence})
    number = found.letter.number
    if not number.startswith(POINTER_MARK):
        await broker.api(f"STREAM.MSG.DELETE.{LETTERS}", {"seq": int(number)})


def why_not(found: Found, last: stored.Stored | None) -> str | None:
    """Why giving it back cannot help; None when it can. `last` is what `last_snapshot` says."""
    letter = found.letter
    if not letter.subject:
        return "the message is no longer stored where the broker gave it up"
    if "seda-dead-cut" in found.headers:
        length = found.headers["seda-dead-cut"]
        return f"only the beginning of its {length} bytes was kept"
    problem = problem_of(letter.subject, found.headers, found.body)
    if problem is not None:
        return f"it would die again: {problem}"
    if letter.consumer not in BY_TYPE[type_of(letter.subject)].consumers:
        return f"{letter.consumer} does not take {type_of(letter.subject)} any more"
    if last is not None and _version(letter.subject, last.body) > _version(
        letter.subject, found.body
    ):
        return "a newer snapshot has been stored since, and this one would replace it"
    return None


async def last_snapshot(broker: Broker, found: Found) -> stored.Stored | None:
    """What its stream holds for the key of a snapshot: giving back an older one would hide it."""
    if not _is_snapshot(found):
        return None
    stream = BY_TYPE[type_of(found.letter.subject)].stream.name
    return await stored.read_last(broker, stream, found.letter.subject)


def _is_snapshot(found: Found) -> bool:
    contract = contract_of(found.letter.subject)
    return contract is not None and issubclass(contract, State)


def _version(subject: str, body: bytes) -> int:
    """0 for what no reader understands: anything sound may replace that."""
    contract = contract_of(subject)
    try:
        snapshot = contract.decode(body) if contract else None
    except msgspec.DecodeError:
        return 0
    return snapshot.version if isinstance(snapshot, State) else 0
