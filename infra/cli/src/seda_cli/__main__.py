"""`seda events | consumers | dlq | outbox`: see `seda --help`."""

import os
import sys

from seda_runtime.failpoints import arm_failpoints

from seda_cli import consumers, dlq, events, outbox
from seda_cli.failure import CommandFailed, WrongUsage
from seda_cli.terminal import complain
from seda_cli.words import Parser, Verbs

NOUNS = {
    "events": (events.add_verbs, "which there are, what one means, what is said now"),
    "consumers": (consumers.add_verbs, "who takes events, and how far behind"),
    "dlq": (dlq.add_verbs, "what could not be taken, and giving it back"),
    "outbox": (outbox.add_verbs, "what is still to be published, and publishing it again"),
}
TAKES_WORDS = frozenset({"consumers", "outbox"})
"""Nouns whose first verb takes a service: `seda consumers chat`."""
EPILOG = (
    "The broker is that of NATS_URL, else the platform `make run` runs here; NATS_NKEY_SEED is the "
    "seed of `ops`, or of `operator` for what changes something. Leaves with 0 when it did what "
    "was asked, 1 when it could not or found nothing, 2 for wrong words."
)


def main(arguments: list[str]) -> int:
    parser = Parser(prog="seda", description=__doc__, epilog=EPILOG)
    nouns = parser.add_subparsers(metavar="NOUN", required=True)
    verbs = {noun: Verbs(nouns, noun, help) for noun, (_, help) in NOUNS.items()}
    for noun, (add_verbs, _) in NOUNS.items():
        add_verbs(verbs[noun])
    noun, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if noun in verbs:
        rest = verbs[noun].completed(rest, takes_words=noun in TAKES_WORDS)
    options = parser.parse_args([noun, *rest])
    arm_failpoints(os.environ.get("SEDA_FAILPOINT"))
    try:
        return int(options.run(options))
    except CommandFailed as failure:
        complain(f"seda: {failure}")
        return 2 if isinstance(failure, WrongUsage) else 1
    except BrokenPipeError:
        # Whoever read has seen enough (`| head`); Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def run() -> None:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
