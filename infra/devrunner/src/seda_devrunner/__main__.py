"""`python -m seda_devrunner up | status | logs | stop | reset | migrate | migration | demo`."""

import argparse
import sys
from pathlib import Path

from seda_devrunner import commands
from seda_devrunner.checkout import ROOT, SERVICES_FILE, StateFolder, load_services
from seda_devrunner.logbook import MERGED


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    state = StateFolder(options.state.resolve())
    services = load_services(options.services)
    match options.word:
        case "up" if options.detach:
            own = [argument for argument in arguments if argument != "--detach"]
            return commands.up_detached(state, own)
        case "status":
            return commands.status(state, as_json=options.json)
        case "logs":
            return commands.logs(state, options.service, follow=options.follow)
        case "stop":
            return commands.stop(state)
        case "reset":
            return commands.reset(state)
    # Loading a platform takes more than a second, which the words above need not wait for.
    if options.word == "up":
        from seda_devrunner.running import Run, up

        return up(Run(services, state, options.seed, not options.any_ports))

    from seda_devrunner import chores

    match options.word:
        case "migrate":
            return chores.migrate(services, state)
        case "migration":
            return chores.migration(services, state, options.service, options.message)
        case "demo":
            return chores.demo(state, [*arguments[: arguments.index("demo")], "up"])
    raise AssertionError(options.word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seda_devrunner", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".state", help="where everything is kept"
    )
    parser.add_argument("--services", type=Path, default=SERVICES_FILE, help="the list of services")
    words = parser.add_subparsers(dest="word", required=True)
    up = words.add_parser("up", help="run the platform")
    up.add_argument("--detach", action="store_true", help="return when it is ready")
    up.add_argument("--no-seed", dest="seed", action="store_false", help="without demo data")
    up.add_argument("--any-ports", action="store_true", help="leave every port to the kernel")
    status = words.add_parser("status", help="what runs where")
    status.add_argument("--json", action="store_true")
    logs = words.add_parser("logs", help="print the logs")
    logs.add_argument("service", nargs="?", default=MERGED)
    logs.add_argument("--follow", action="store_true")
    words.add_parser("stop", help="stop the platform")
    words.add_parser("reset", help="stop, and forget all development data")
    words.add_parser("migrate", help="bring the development database up to date")
    migration = words.add_parser("migration", help="write a service's next migration")
    migration.add_argument("service")
    migration.add_argument("message")
    words.add_parser("demo", help="play the main flow and measure it")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
