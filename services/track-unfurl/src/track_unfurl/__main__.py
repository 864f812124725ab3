"""`python -m track_unfurl serve | migrate | describe | outbox-status | replay-outbox`."""

import sys

from seda_messaging.command_line import run_command

from track_unfurl.app import SERVICE, create_app
from track_unfurl.settings import Settings

if __name__ == "__main__":
    run_command(
        sys.argv[1:],
        service=SERVICE,
        package="track_unfurl",
        settings=Settings,
        create_app=create_app,
    )
