"""`python -m chat_realtime serve | migrate | describe | outbox-status | replay-outbox`."""

import sys

from seda_messaging.command_line import run_command

from chat_realtime.app import NAME, create_app
from chat_realtime.settings import Settings

if __name__ == "__main__":
    run_command(
        sys.argv[1:],
        service=NAME,
        package="chat_realtime",
        settings=Settings,
        create_app=create_app,
    )
