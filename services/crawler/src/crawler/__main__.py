"""`python -m crawler serve | migrate | describe | outbox-status | replay-outbox`."""

import sys

from seda_messaging.command_line import run_command

from crawler.app import SERVICE, create_app
from crawler.settings import Settings

if __name__ == "__main__":
    run_command(
        sys.argv[1:],
        service=SERVICE,
        package="crawler",
        settings=Settings,
        create_app=create_app,
    )
