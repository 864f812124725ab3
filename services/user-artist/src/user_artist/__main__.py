"""`python -m user_artist serve | migrate | describe | outbox-status | replay-outbox`."""

import sys

from seda_messaging.command_line import run_command

from user_artist.app import SERVICE, create_app
from user_artist.settings import Settings

if __name__ == "__main__":
    run_command(
        sys.argv[1:],
        service=SERVICE,
        package="user_artist",
        settings=Settings,
        create_app=create_app,
    )
