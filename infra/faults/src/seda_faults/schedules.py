"""Which runs there are: scripts the correct program must pass, and for each mutant the script that
must catch it.
"""

from dataclasses import dataclass

from seda_faults.nemesis import Fault, random_faults
from seda_faults.removals import Kick
from seda_faults.running import Script

SERVICES = (
    "auth-gateway",
    "user-artist",
    "chat-realtime",
    "track-unfurl",
    "verification",
    "crawler",
    "ledger",
)

FAILPOINTS = Script(
    name="failpoints",
    load_seconds=16,
    faults=[],
    failpoints={
        "chat-realtime": "outbox.before_commit:error:0.05,outbox.after_commit:kill:0.02,"
        "outbox.after_publish:kill:0.02,consumer.after_effect:kill:0.03",
        "ledger": "consumer.before_effect:kill:0.02,inbox.recorded:kill:0.02,"
        "consumer.after_effect:kill:0.02",
        "track-unfurl": "consumer.after_effect:kill:0.02,outbox.after_publish:kill:0.05",
    },
)
"""The windows of a millisecond between a row, its commit, its publication and its mark."""

OUTAGES = Script(
    name="outages",
    load_seconds=19,
    faults=[
        # What is committed now lives in PostgreSQL and in the memory of a process that dies.
        Fault(1.5, "away", "nats", 3.0),
        Fault(3.5, "kill", "chat-realtime"),
        # The ledger has a backlog when its database goes.
        Fault(7.0, "freeze", "ledger", 2.0),
        Fault(8.8, "away", "postgres", 3.0),
        # Nothing of a consumer dies with the server but the request it waits on.
        Fault(15.0, "kill", "nats"),
        Fault(18.0, "away", "nats", 1.5),
    ],
)
"""Dependencies that go away together, one after the other, and while somebody is killed."""

KILLS = Script(
    name="kills",
    load_seconds=20,
    faults=[
        Fault(1.0 + 2.2 * number, "kill", target)
        for number, target in enumerate((*SERVICES[:4], "nats", "ledger", "postgres", "crawler"))
    ],
)
"""Everything once, one at a time."""

FREEZES = Script(
    name="freezes",
    load_seconds=20,
    faults=[
        Fault(1.0, "freeze", "chat-realtime", 2.0),
        Fault(3.5, "restart", "chat-realtime"),
        Fault(6.0, "freeze", "nats", 2.0),
        Fault(6.5, "restart", "track-unfurl"),
        Fault(9.0, "freeze", "postgres", 2.0),
        Fault(10.0, "restart", "ledger"),
        Fault(12.0, "restart", "postgres"),
        Fault(13.5, "freeze", "auth-gateway", 1.5),
        Fault(15.5, "restart", "user-artist"),
        Fault(17.0, "restart", "nats"),
    ],
)
"""Processes that stop without ending, and deployments."""

SECOND_CHAT = "chat-realtime-2"
CHAT = Script(
    name="chat",
    load_seconds=47,
    chat_processes=2,
    ghosts=(0, 1),
    faults=[
        # After each first kill the other process lives long enough to be caught showing a ghost.
        Fault(1.0, "kill", "chat-realtime"),
        Fault(6.0, "freeze", SECOND_CHAT, 2.5),
        Fault(11.5, "kill", SECOND_CHAT),
        Fault(15.0, "freeze", "chat-realtime", 2.0),
        Fault(21.5, "restart", "chat-realtime"),
        Fault(29.0, "restart", SECOND_CHAT),
        Fault(36.0, "freeze", "nats", 3.0),
        Fault(40.0, "away", "nats", 2.5),
        # Who was kicked asks for the room again, with the cursor of before.
        Fault(44.5, "kill", SECOND_CHAT),
        Fault(45.5, "kill", "chat-realtime"),
    ],
    kicks=[Kick(6.5, via=0), Kick(36.5, via=1), Kick(40.5, via=0)],
)
"""Two processes of chat, each killed, frozen and deployed; kicks that a process cannot hear of."""

CHAT_CALIBRATED = Script(
    name="short chat",
    load_seconds=8,
    chat_processes=2,
    ghosts=(1,),
    faults=[
        # First, while both processes are there to be listened to: a kick that one cannot hear of.
        Fault(0.5, "freeze", "nats", 2.5),
        # Who was kicked asks for the room again, with the cursor of before. The other one lives:
        # HTTP goes to it, and it could be caught showing a ghost.
        Fault(4.5, "kill", SECOND_CHAT),
    ],
    # The second is heard of: of the first a process may learn by looking into the database.
    kicks=[Kick(1.0, via=0), Kick(6.0, via=0)],
)
"""The same as far as it fits between other tests."""

CALIBRATED = Script(
    name="short",
    load_seconds=8,
    faults=[
        Fault(1.0, "away", "nats", 2.0),
        Fault(2.0, "kill", "chat-realtime"),
        Fault(5.0, "kill", "ledger"),
        Fault(6.0, "kill", "postgres"),
    ],
)
"""The one that fits between other tests."""


def random_script(seed: int, *, seconds: float = 24.0) -> Script:
    return Script(
        name="random", load_seconds=seconds, faults=random_faults(seed, SERVICES, seconds=seconds)
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant before the script that must tell it from the correct program, which is none."""

    mutant: str | None
    script: Script


def _aimed(mutant: str, *faults: Fault, **failpoints: str) -> Trial:
    """Long and hard enough that the mutant is caught every time, and no longer."""
    armed = {name.replace("_", "-"): text for name, text in failpoints.items()}
    return Trial(mutant, Script(f"at {mutant}", [*faults], load_seconds=8, failpoints=armed))


TRIALS = (
    _aimed("no_inbox", ledger="consumer.after_effect:kill:0.05"),
    _aimed("ack_before_commit", ledger="consumer.before_effect:kill:0.05"),
    _aimed("no_sweeper", chat_realtime="outbox.after_commit:kill:0.1"),
    _aimed("no_dedupe_id", chat_realtime="outbox.after_publish:kill:0.1"),
    _aimed("publish_before_commit", chat_realtime="outbox.before_commit:error:0.1"),
    _aimed("no_sequence_lock", chat_realtime="outbox.before_commit:error:0.1"),
    # The ledger has a backlog in hand when its database goes.
    _aimed("bare_nak", Fault(2.0, "freeze", "ledger", 2.0), Fault(3.8, "away", "postgres", 2.0)),
    # The request that dies is one of the last: silence outlasts the time to drain.
    _aimed("no_reconnect_handling", Fault(6.0, "away", "nats", 1.0)),
    Trial("deaf_to_rights", CHAT_CALIBRATED),
    Trial("no_lease", CHAT_CALIBRATED),
    Trial("no_replay", CHAT_CALIBRATED),
)


def correct_scripts(seed: int) -> tuple[Script, ...]:
    """What the correct program must pass: also every script aimed at a mutant, or that mutant's
    violations would say nothing of the mutation.
    """
    aimed = {trial.script.name: trial.script for trial in TRIALS}
    return (FAILPOINTS, OUTAGES, KILLS, FREEZES, CHAT, random_script(seed), *aimed.values())
